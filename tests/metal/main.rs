//! A guest that measures what its machine takes for what drivers do: it has no system, sets up one
//! virtio disk, and does each thing so many times between two lines on its serial port. Who reads
//! those has a clock.
//!
//! All of this runs in ring 3, without interrupts: so a KVM without hardware support runs it as fast
//! as any other.

#![no_std]
#![no_main]

mod pci;
mod ports;
mod virtio;

use core::arch::global_asm;
use core::panic::PanicInfo;

use self::ports::{SCRATCH, print, print_number};
use self::virtio::Disk;

global_asm!(include_str!("start.s"), options(att_syntax));

/// How often each thing is done.
const EXITS: u32 = 10_000;
const NOTIFICATIONS: u32 = 10_000;
const READS: u32 = 5_000;

#[unsafe(no_mangle)]
extern "C" fn main() -> ! {
    let mut disk = Disk::find().unwrap_or_else(|| fail("no virtio disk"));
    measure("port", EXITS, || {
        ports::read_byte(SCRATCH);
    });
    measure("register", EXITS, || {
        disk.status();
    });
    measure("notification", NOTIFICATIONS, || disk.notify());
    let mut sector = 0;
    measure("read", READS, || {
        // The disk repeats after this.
        sector = (sector + 8) % 64;
        if !disk.reads_its_own_number(sector) {
            fail("a read went wrong");
        }
    });
    stop()
}

/// Does `once` so many times, between two lines.
fn measure(name: &str, times: u32, mut once: impl FnMut()) {
    print(name);
    print(", ");
    print_number(times);
    print(" times\n");
    for _ in 0..times {
        once();
    }
    print(name);
    print(", done\n");
}

fn fail(why: &str) -> ! {
    print("failed: ");
    print(why);
    print("\n");
    stop()
}

fn stop() -> ! {
    // `hlt` is not for ring 3.
    loop {
        core::hint::spin_loop();
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    fail("a panic")
}
