//! A virtio disk (VIRTIO 1.2 §4.1, §5.2) with one queue, which is polled.

use core::ptr::{self, from_mut};
use core::sync::atomic::{Ordering, fence};

use crate::pci::Function;

const VENDOR: u16 = 0x1af4;
/// Disks, of today and from before VIRTIO 1.0 (§4.1.2).
const DISKS: [u16; 2] = [0x1042, 0x1001];

/// Kinds of capabilities (§4.1.4).
const COMMON: u8 = 1;
const NOTIFY: u8 = 2;

/// Offsets in the common configuration (§4.1.4.3).
const DRIVER_FEATURE_SELECT: usize = 0x08;
const DRIVER_FEATURE: usize = 0x0c;
const STATUS: usize = 0x14;
const QUEUE_SELECT: usize = 0x16;
const QUEUE_SIZE: usize = 0x18;
const QUEUE_ENABLE: usize = 0x1c;
const QUEUE_NOTIFY_OFF: usize = 0x1e;
const QUEUE_DESC: usize = 0x20;
const QUEUE_DRIVER: usize = 0x28;
const QUEUE_DEVICE: usize = 0x30;

/// ACKNOWLEDGE, DRIVER, FEATURES_OK, DRIVER_OK (§2.1).
const STEPS: [u8; 4] = [1, 3, 11, 15];

/// `VIRTIO_F_VERSION_1`, in the second half of the features.
const VERSION_1: u32 = 1;

/// Flags of descriptors (§2.7.5), of the driver's ring: no interrupts (§2.7.6), and of the device's:
/// no notifications (§2.7.8).
const NEXT: u16 = 1;
const WRITE: u16 = 2;
const NO_INTERRUPT: u16 = 1;
const NO_NOTIFY: u16 = 1;

/// Entries of the queue.
const SIZE: u16 = 4;

#[repr(C)]
struct Descriptor {
    address: u64,
    len: u32,
    flags: u16,
    next: u16,
}

/// The queue and what it points to, at addresses that are the guest's physical ones too.
#[repr(C, align(4096))]
struct Memory {
    block: [u8; 4096],
    descriptors: [Descriptor; SIZE as usize],
    available: Available,
    used: Used,
    /// Of a request (§5.2.6): kind and priority, sector.
    header: [u64; 2],
    outcome: u8,
}

#[repr(C)]
struct Available {
    flags: u16,
    index: u16,
    ring: [u16; SIZE as usize],
}

#[repr(C, align(4))]
struct Used {
    flags: u16,
    index: u16,
    ring: [[u32; 2]; SIZE as usize],
}

// SAFETY: integers, for which zeros are values.
static mut MEMORY: Memory = unsafe { core::mem::zeroed() };

pub(crate) struct Disk {
    common: usize,
    doorbell: usize,
    memory: *mut Memory,
    index: u16,
}

impl Disk {
    /// The machine's first, ready to be used; found once.
    pub(crate) fn find() -> Option<Self> {
        let function =
            Function::find(|vendor, device| vendor == VENDOR && DISKS.contains(&device))?;
        let (mut common, mut notify) = (None, None);
        for at in function.vendor_capabilities() {
            let place =
                || function.map(function.read(at + 4) as u8) + function.read(at + 8) as usize;
            match (function.read(at) >> 24) as u8 {
                COMMON => common = Some(place()),
                NOTIFY => notify = Some((place(), function.read(at + 16) as usize)),
                _ => {}
            }
        }
        let (doorbells, stride) = notify?;
        let memory = &raw mut MEMORY;
        let mut disk = Self { common: common?, doorbell: 0, memory, index: 0 };
        disk.start();
        let number: u16 = disk.get(QUEUE_NOTIFY_OFF);
        disk.doorbell = doorbells + usize::from(number) * stride;
        Some(disk)
    }

    /// Reset, negotiation, queue 0 (§3.1.1).
    fn start(&mut self) {
        // SAFETY: the device is about to be reset, and nothing else refers to the memory.
        let memory = unsafe { &mut *self.memory };
        memory.available.flags = NO_INTERRUPT;
        let parts: [(u64, usize, u16); 3] = [
            (from_mut(&mut memory.header) as u64, size_of_val(&memory.header), NEXT),
            (from_mut(&mut memory.block) as u64, size_of_val(&memory.block), NEXT | WRITE),
            (from_mut(&mut memory.outcome) as u64, 1, WRITE),
        ];
        for (number, (address, len, flags)) in parts.into_iter().enumerate() {
            let next = number as u16 + 1;
            memory.descriptors[number] = Descriptor { address, len: len as u32, flags, next };
        }
        self.put(STATUS, 0u8);
        while self.status() != 0 {}
        self.put(STATUS, STEPS[0]);
        self.put(STATUS, STEPS[1]);
        for (half, features) in [(0u32, 0), (1, VERSION_1)] {
            self.put(DRIVER_FEATURE_SELECT, half);
            self.put(DRIVER_FEATURE, features);
        }
        self.put(STATUS, STEPS[2]);
        self.put(QUEUE_SELECT, 0u16);
        self.put(QUEUE_SIZE, SIZE);
        let rings = [
            (QUEUE_DESC, from_mut(&mut memory.descriptors) as u64),
            (QUEUE_DRIVER, from_mut(&mut memory.available) as u64),
            (QUEUE_DEVICE, from_mut(&mut memory.used) as u64),
        ];
        for (register, address) in rings {
            self.put(register, address as u32);
            self.put(register + 4, (address >> 32) as u32);
        }
        self.put(QUEUE_ENABLE, 1u16);
        self.put(STATUS, STEPS[3]);
    }

    /// The device status: a register that the machine has to answer for.
    pub(crate) fn status(&self) -> u8 {
        self.get(STATUS)
    }

    /// Rings, whether there is something or not.
    pub(crate) fn notify(&self) {
        // SAFETY: a register of the device.
        unsafe { ptr::write_volatile(self.doorbell as *mut u16, 0) };
    }

    /// Reads 4 KiB at `sector` and waits for them; whether they begin with the sector's number, as
    /// on the disk that this is made for.
    pub(crate) fn reads_its_own_number(&mut self, sector: u64) -> bool {
        let memory = self.memory;
        self.index = self.index.wrapping_add(1);
        // SAFETY: the memory is this disk's, is only touched through this pointer since the
        // device has it, and the device reads it after the index, and writes it before its own.
        unsafe {
            ptr::write_volatile(&raw mut (*memory).header[1], sector);
            ptr::write_volatile(&raw mut (*memory).block[0], !(sector as u8));
            fence(Ordering::SeqCst);
            // Entry 0 of the ring always is descriptor 0, and so are the others.
            ptr::write_volatile(&raw mut (*memory).available.index, self.index);
            fence(Ordering::SeqCst);
            if ptr::read_volatile(&raw const (*memory).used.flags) & NO_NOTIFY == 0 {
                self.notify();
            }
            while ptr::read_volatile(&raw const (*memory).used.index) != self.index {
                core::hint::spin_loop();
            }
            fence(Ordering::SeqCst);
            let first = ptr::read_volatile(&raw const (*memory).block[0]);
            ptr::read_volatile(&raw const (*memory).outcome) == 0 && first == sector as u8
        }
    }

    fn get<T>(&self, register: usize) -> T {
        // SAFETY: a register of the device, of this width.
        unsafe { ptr::read_volatile((self.common + register) as *const T) }
    }

    fn put<T>(&self, register: usize, value: T) {
        // SAFETY: as above.
        unsafe { ptr::write_volatile((self.common + register) as *mut T, value) };
    }
}
