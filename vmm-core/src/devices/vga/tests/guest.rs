//! What drivers find: PCI, the register BAR, the ROM, the ports.

use super::*;
use crate::display::Mode;

#[test]
fn pci_identity_and_bars() {
    let guest = Guest::with_rom(Some(vec![0x55; 39_000]));
    assert_eq!(guest.read_config(0x00), 0x1111_1234);
    assert_eq!(guest.read_config(0x08) >> 8, 0x03_0000);
    for register in [0x10, 0x14, 0x18, 0x30] {
        guest.write_config(register, u32::MAX);
    }
    assert_eq!(guest.read_config(0x10), 0xff00_0008);
    assert_eq!(guest.read_config(0x14), 0);
    assert_eq!(guest.read_config(0x18), 0xffff_f000);
    assert_eq!(guest.read_config(0x30), 0xffff_0001);
}

#[test]
fn the_rom_shows_where_it_is_mapped() {
    let guest = Guest::with_rom(Some(vec![0x55, 0xaa, 0x4e]));
    guest.write_config(0x30, 0xfebe_0001);
    guest.write_config(0x04, 2);
    let mut data = [9; 4];
    guest.mmio.read(0xfebe_0000, &mut data);
    assert_eq!(data, [0x55, 0xaa, 0x4e, 0]);
    guest.mmio.write(0xfebe_0000, &[1, 2]);
    guest.mmio.read(0xfebe_07fe, &mut data);
    assert_eq!(data, [0, 0, 0xff, 0xff]);
}

#[test]
fn the_register_bar() {
    let guest = Guest::mapped();
    let read16 = |offset: u64| {
        let mut data = [0; 2];
        guest.mmio.read(REGISTERS + offset, &mut data);
        u16::from_le_bytes(data)
    };
    let mut edid = [0; 8];
    guest.mmio.read(REGISTERS, &mut edid);
    assert_eq!(edid, [0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]);
    assert_eq!(read16(0x3fe), 0);
    assert_eq!(read16(0x500), 0xb0c5);
    assert_eq!(read16(0x514), 256);
    // Nothing of the newer revision.
    assert_eq!(read16(0x600), 0xffff);
    // A mode the way OVMF sets one: through this BAR alone.
    guest.mmio.read(REGISTERS + 0x41a, &mut [0]);
    guest.mmio.write(REGISTERS + 0x400, &[0x20]);
    for (index, value) in [(4u64, 0u16), (3, 32), (1, 800), (2, 600), (4, 0x41)] {
        guest.mmio.write(REGISTERS + 0x500 + index * 2, &value.to_le_bytes());
    }
    assert_eq!(guest.vga.mode(), Mode::Graphics { width: 800, height: 600 });
    // An index and its data in one word.
    guest.mmio.write(REGISTERS + 0x414, &[0x0f, 0x42]);
    guest.outb(0x3b4, 0x0f);
    assert_eq!(guest.inb(0x3b5), 0x42);
    guest.mmio.write(REGISTERS + 0x404, &[0x02, 0x0f]);
    assert_eq!(guest.inb(0x3c5), 0x0f);
}

#[test]
fn dispi_by_ports() {
    let guest = Guest::new();
    guest.dispi(1, 1024);
    let mut data = [0; 2];
    for port in [0x1cf, 0x1d0] {
        guest.ports.read(port, &mut data);
        assert_eq!(u16::from_le_bytes(data), 1024);
    }
    guest.ports.write(0x1cf, &[0x55]);
    guest.ports.read(0x1ce, &mut data);
    assert_eq!(data, [1, 0]);
    guest.ports.read(0x1cf, &mut data);
    assert_eq!(u16::from_le_bytes(data), 1024);
}

#[test]
fn the_retrace_comes_and_goes() {
    let guest = Guest::new();
    guest.set_mode(&MODE_03);
    let start = std::time::Instant::now();
    let wait = |set: bool| {
        while (guest.inb(0x3da) & 8 != 0) != set {
            assert!(start.elapsed().as_secs() < 20, "the retrace bit is stuck");
        }
    };
    for set in [true, false, true, false] {
        wait(set);
    }
}

#[test]
fn before_any_mode_the_screen_is_blank() {
    let guest = Guest::new();
    assert_eq!(guest.vga.mode(), Mode::Blank);
    assert_eq!(guest.vga.text(), None);
    let frame = guest.frame();
    assert_eq!((frame.width, frame.height), (720, 400));
}

#[test]
fn impossible_configurations_are_refused() {
    let make = |config| {
        let mapper: Arc<dyn MemoryMapper> = Arc::new(FakeMapper::default());
        Vga::new(config, intx(), mapper, VmClock::new()).map(|_| ())
    };
    assert!(make(VgaConfig { preferred: (0, 768), ..Default::default() }).is_err());
    assert!(make(VgaConfig { preferred: (2561, 1600), ..Default::default() }).is_err());
    assert!(make(VgaConfig { rom: Some(vec![0; 2 << 20]), ..Default::default() }).is_err());
    assert!(make(VgaConfig { preferred: (2560, 1600), ..Default::default() }).is_ok());
}
