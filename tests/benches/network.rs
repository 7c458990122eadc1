//! TCP through passt, between a Debian guest and this machine's loopback address: how much goes
//! through each way, and how often a byte comes back.
//!
//! Both machines run side by side, one of them idle, and take turns.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use berth_tests::{Bench, Berth, Better, Debian, Qemu, Row, Running, Side, overlay};

const LIMIT: Duration = Duration::from_secs(3000);

/// Bytes that go each way.
const BYTES: usize = 128 << 20;
/// How long a byte goes to and fro.
const TIME: Duration = Duration::from_secs(4);
/// The guest's port that sends everything back.
const ECHO: u16 = 7;

/// A machine that starts.
struct Starting {
    running: Running,
    /// Leads to the guest's echo.
    port: u16,
    passt: Option<Passt>,
    scratch: tempfile::TempDir,
}

/// The peer's passt, which Berth starts by itself.
struct Passt(Child);

impl Drop for Passt {
    fn drop(&mut self) {
        // It ends with its machine at the latest.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Starting {
    fn new(side: Side) -> Self {
        let scratch = tempfile::tempdir().expect("a folder for the disk");
        let disk = overlay("disk.qcow2", scratch.path());
        let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
        let port = port.expect("a port").port();
        let (running, passt) = match side {
            Side::Berth => {
                let berth = Berth::boot_unlogged("network-berth", LIMIT)
                    .arg("--disk")
                    .arg(format!("{},format=qcow2,bus=virtio", disk.display()))
                    .arg("--net")
                    .arg(format!("user,host,forward={port}:{ECHO}"));
                (berth.start(), None)
            }
            Side::Peer => {
                let socket = scratch.path().join("passt");
                let passt = Command::new("passt")
                    .args(["--foreground", "--quiet", "--tcp-ports"])
                    .arg(format!("127.0.0.1/{port}:{ECHO}"))
                    .arg("--socket")
                    .arg(&socket)
                    .stdin(Stdio::null())
                    .spawn()
                    .expect("passt starts");
                let passt = Passt(passt);
                while !socket.exists() {
                    thread::sleep(Duration::from_millis(10));
                }
                let network = format!(
                    "stream,id=net,server=off,addr.type=unix,addr.path={}",
                    socket.display()
                );
                let qemu = Qemu::q35("network-peer", LIMIT)
                    .args(["-m", "512", "-netdev", &network])
                    .args(["-device", "virtio-net-pci,netdev=net"])
                    .virtio_disk(&disk, "qcow2");
                (qemu.start(), Some(passt))
            }
        };
        Self { running, port, passt, scratch }
    }

    fn finish(mut self) -> Guest {
        self.running.expect(Debian::PROMPT);
        let mut debian = Debian::at_prompt(self.running);
        debian.run(
            "mkdir -p /run/systemd/network && printf '[Match]\\nName=en* eth*\\n[Network]\\nDHCP=yes\\n' \
             >/run/systemd/network/50-all.network && systemctl restart systemd-networkd",
        );
        let gateway = debian.run(
            "for i in $(seq 120); do ip -4 route show default | grep -q via && break; sleep 1; done; \
             ip -4 route show default | sed 's/.*via \\([^ ]*\\).*/\\1/' | head -1",
        );
        debian.run(&format!("(while :; do busybox nc -l -p {ECHO} -e cat; done &) 2>/dev/null"));
        let (port, passt) = (self.port, self.passt);
        Guest { debian, gateway, port, _passt: passt, _scratch: self.scratch }
    }
}

/// A guest at its prompt, with a network.
struct Guest {
    debian: Debian,
    gateway: String,
    port: u16,
    _passt: Option<Passt>,
    // Removed after the machine has ended.
    _scratch: tempfile::TempDir,
}

impl Guest {
    /// MB a second that the guest receives.
    fn receive(&mut self) -> f64 {
        let (listener, place) = self.listen();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("the guest connects");
            let chunk = vec![0; 1 << 20];
            (0..BYTES >> 20).for_each(|_| stream.write_all(&chunk).expect("the guest reads"));
        });
        let seconds = self.time(&format!("cat <{place} >/dev/null"));
        server.join().expect("the server ends");
        BYTES as f64 / 1e6 / seconds
    }

    /// MB a second that the guest sends.
    fn send(&mut self) -> f64 {
        let (listener, place) = self.listen();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("the guest connects");
            let mut chunk = vec![0; 1 << 20];
            let start = Instant::now();
            let mut all = 0;
            while let Ok(len @ 1..) = stream.read(&mut chunk) {
                all += len;
            }
            assert_eq!(all, BYTES, "something is missing");
            start.elapsed().as_secs_f64()
        });
        self.time(&format!("dd if=/dev/zero bs=1M count={} status=none >{place}", BYTES >> 20));
        BYTES as f64 / 1e6 / server.join().expect("the server ends")
    }

    /// How often a byte goes to the guest and comes back, a second.
    fn exchange(&mut self) -> f64 {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the guest's port");
        stream.set_nodelay(true).expect("a socket");
        let mut byte = [0];
        let mut once = || {
            stream.write_all(&[7]).and_then(|()| stream.read_exact(&mut byte)).expect("an echo");
        };
        once();
        let start = Instant::now();
        let mut count = 0;
        while start.elapsed() < TIME {
            once();
            count += 1;
        }
        f64::from(count) / start.elapsed().as_secs_f64()
    }

    /// Somewhere to connect to, and its name in the guest's shell.
    fn listen(&self) -> (TcpListener, String) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        (listener, format!("/dev/tcp/{}/{port}", self.gateway))
    }

    /// Seconds that the guest's shell takes for something.
    fn time(&mut self, command: &str) -> f64 {
        let text = self.debian.run(&format!("TIMEFORMAT=%R; time {command}"));
        text.trim().parse().unwrap_or_else(|_| panic!("what time says: {text}"))
    }
}

fn main() {
    let bench = Bench::from_environment("network");
    let name = |what: &str| format!("TCP through passt, {what}");
    let mut receive = Row::new(name("host to guest"), "MB/s", 1.0, Better::Higher);
    let mut send = Row::new(name("guest to host"), "MB/s", 1.0, Better::Higher);
    let mut exchange = Row::new(name("a byte to and fro"), "a second", 1.0, Better::Higher);
    if !bench.wants("TCP through passt") {
        return;
    }
    let (berth, peer) = (Starting::new(Side::Berth), Starting::new(Side::Peer));
    let (mut berth, mut peer) = (berth.finish(), peer.finish());
    for side in bench.turns() {
        let guest = match side {
            Side::Berth => &mut berth,
            Side::Peer => &mut peer,
        };
        receive.add(side, guest.receive());
        send.add(side, guest.send());
        exchange.add(side, guest.exchange());
    }
    bench.finish(&[receive, send, exchange]);
}
