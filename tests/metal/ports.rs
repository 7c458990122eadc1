//! I/O ports, and the serial port behind some of them.

use core::arch::asm;

/// COM1: its data register, line status, and a register that does nothing.
const DATA: u16 = 0x3f8;
const LINE_STATUS: u16 = 0x3fd;
pub(crate) const SCRATCH: u16 = 0x3ff;

/// Bit of the line status: there is room to write.
const ROOM: u8 = 1 << 5;

pub(crate) fn read_byte(port: u16) -> u8 {
    let value;
    // SAFETY: no port of these machines touches the guest's memory.
    unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nomem, nostack)) };
    value
}

fn write_byte(port: u16, value: u8) {
    // SAFETY: as above.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nomem, nostack)) };
}

pub(crate) fn read(port: u16) -> u32 {
    let value;
    // SAFETY: as above.
    unsafe { asm!("in eax, dx", in("dx") port, out("eax") value, options(nomem, nostack)) };
    value
}

pub(crate) fn write(port: u16, value: u32) {
    // SAFETY: as above.
    unsafe { asm!("out dx, eax", in("dx") port, in("eax") value, options(nomem, nostack)) };
}

/// Writes to the serial port.
pub(crate) fn print(text: &str) {
    text.bytes().for_each(print_byte);
}

pub(crate) fn print_number(number: u32) {
    if number >= 10 {
        print_number(number / 10);
    }
    print_byte(b'0' + (number % 10) as u8);
}

fn print_byte(byte: u8) {
    while read_byte(LINE_STATUS) & ROOM == 0 {}
    write_byte(DATA, byte);
}
