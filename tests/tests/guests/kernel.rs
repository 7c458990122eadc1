//! Kernels started directly, without firmware.

use std::time::Duration;

use berth_tests::{Berth, image};

use super::SHORT;

fn boots(name: &str, kernel: &str, cpus: &str) {
    let ended = Berth::boot(name, SHORT)
        .arg("--kernel")
        .arg(image(kernel))
        .arg("--initrd")
        .arg(image("initrd"))
        .args(["--append", "console=ttyS0 quiet berth.poweroff", "--cpus", cpus])
        .screenshot("screen.png")
        .run()
        .expect_status(0);
    let expected = format!("cpus {cpus}");
    let line = ended.serial.lines().find(|line| line.contains("BERTH-USERLAND up "));
    assert!(line.is_some_and(|line| line.contains(&expected)), "{}", ended.serial);
}

#[test]
fn bz_image_with_one_cpu() {
    boots("kernel-bzimage-1", "vmlinuz", "1");
}

#[test]
fn bz_image_with_two_cpus() {
    boots("kernel-bzimage-2", "vmlinuz", "2");
}

/// Many more than the host has.
#[test]
fn bz_image_with_sixteen_cpus() {
    boots("kernel-bzimage-16", "vmlinuz", "16");
}

#[test]
fn pvh_with_one_cpu() {
    boots("kernel-pvh-1", "vmlinux", "1");
}

#[test]
fn pvh_with_two_cpus() {
    boots("kernel-pvh-2", "vmlinux", "2");
}

#[test]
fn restarts() {
    let mut running = Berth::boot("kernel-restart", SHORT)
        .arg("--kernel")
        .arg(image("vmlinuz"))
        .arg("--initrd")
        .arg(image("initrd"))
        .args(["--append", "console=ttyS0 quiet berth.reboot"])
        .args(["--until-serial", "BERTH-USERLAND", "--until-serial", "BERTH-USERLAND"])
        .start();
    running.expect("BERTH-USERLAND");
    running.expect("BERTH-USERLAND");
    running.wait().expect_success();
}

/// A text several times the size of every buffer on the way, both ways.
#[test]
fn serial_port_loses_nothing() {
    const LINES: usize = 400;
    let mut running = Berth::boot("kernel-serial", SHORT)
        .arg("--kernel")
        .arg(image("vmlinuz"))
        .arg("--initrd")
        .arg(image("initrd"))
        .args(["--append", "console=ttyS0 quiet"])
        .start();
    running.expect("BERTH-USERLAND");
    running.expect("# ");
    running.send("stty -echo; echo ready\n");
    running.expect("\nready\r\n");
    running.send("head -c 40000 | md5sum; echo done\n");
    // The shell has to have started the reader, or it reads the text itself.
    std::thread::sleep(Duration::from_secs(2));
    let line = "0123456789 abcdefghijklmnopqrstuvwxyz 0123456789 abcdefghijklmnopqrstuvwxyz 0123456789 abcdefghijkl\n";
    assert_eq!(line.len() * LINES, 40000);
    for _ in 0..LINES {
        running.send(line);
    }
    let sum = running.expect("([0-9a-f]{32})  -\r\ndone");
    assert_eq!(sum, md5(&line.repeat(LINES)));
    running.send("seq 20000\n");
    let numbers = running.expect("((?s:1\r\n2\r\n.*\r\n20000\r\n))");
    let expected: String = (1..=20000).map(|number| format!("{number}\r\n")).collect();
    assert!(numbers == expected, "some of the guest's output is lost");
    running.close_input();
    running.signal(rustix::process::Signal::TERM);
    let ended = running.wait();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ended.status), Some(15));
}

/// By the program, which every Linux has.
fn md5(text: &str) -> String {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut child = Command::new("md5sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("md5sum starts");
    let mut stdin = child.stdin.take().expect("standard input is piped");
    stdin.write_all(text.as_bytes()).expect("md5sum reads");
    drop(stdin);
    let output = child.wait_with_output().expect("md5sum ends");
    String::from_utf8_lossy(&output.stdout).split(' ').next().unwrap_or_default().to_owned()
}
