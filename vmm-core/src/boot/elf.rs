//! ELF kernels with a PVH entry point (Xen `docs/misc/pvh.pandoc`).

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::FileExt;

use linux_loader::elf::{Elf64_Ehdr, Elf64_Nhdr, Elf64_Phdr};
use vm_memory::{ByteValued, Bytes, GuestAddress};

use super::error::Fault;
use super::{Loaded, Protocol, layout};
use crate::memory::GuestRam;
use crate::text;

const CLASS_AT: usize = 4;
const CLASS_64: u8 = 2;
const DATA_AT: usize = 5;
const LITTLE_ENDIAN: u8 = 1;
const MACHINE_386: u16 = 3;
const MACHINE_X86_64: u16 = 62;
const SEGMENT_LOAD: u32 = 1;
const SEGMENT_NOTE: u32 = 4;
/// `XEN_ELFNOTE_PHYS32_ENTRY`.
const NOTE_PHYS32_ENTRY: u32 = 18;
const NOTE_NAME: &[u8] = b"Xen\0";
/// Notes beyond this are none of a kernel's.
const NOTES_MAX: u64 = 64 << 10;

fn read<T: ByteValued + Default>(file: &File, at: u64, size: u64) -> Result<T, Fault> {
    let len = size_of::<T>() as u64;
    if at.checked_add(len).is_none_or(|end| end > size) {
        return Err(Fault::truncated());
    }
    let mut value = T::default();
    file.read_exact_at(value.as_mut_slice(), at).map_err(Fault::Read)?;
    Ok(value)
}

fn check(header: &Elf64_Ehdr) -> Result<(), Fault> {
    if header.e_ident[DATA_AT] != LITTLE_ENDIAN {
        return Err(Fault::Invalid(text!("it is an ELF file for a big-endian machine")));
    }
    match header.e_machine {
        MACHINE_X86_64 => {}
        MACHINE_386 => return Err(Fault::Invalid(text!("it is a 32-bit ELF file"))),
        other => {
            return Err(Fault::Invalid(text!(
                "it is an ELF file for machine {machine}, not x86",
                machine = other
            )));
        }
    }
    if header.e_ident[CLASS_AT] != CLASS_64 {
        return Err(Fault::Invalid(text!("it is a 32-bit ELF file")));
    }
    if usize::from(header.e_phentsize) != size_of::<Elf64_Phdr>() {
        return Err(Fault::Invalid(text!("its program headers have an unknown size")));
    }
    Ok(())
}

/// Reads the kernel in `file`, of `size` bytes, into `ram`, whose first region ends at `low_end`.
pub(super) fn load(
    ram: &GuestRam,
    file: &mut File,
    size: u64,
    low_end: u64,
) -> Result<Loaded, Fault> {
    let header: Elf64_Ehdr = read(file, 0, size)?;
    check(&header)?;
    let mut end = layout::KERNEL_BASE;
    let mut entry = None;
    for index in 0..u64::from(header.e_phnum) {
        let at = header.e_phoff.checked_add(index * size_of::<Elf64_Phdr>() as u64);
        let segment: Elf64_Phdr = read(file, at.ok_or_else(Fault::truncated)?, size)?;
        match segment.p_type {
            SEGMENT_LOAD => end = end.max(load_segment(ram, file, size, low_end, &segment)?),
            SEGMENT_NOTE if entry.is_none() => entry = find_entry(file, size, &segment)?,
            _ => {}
        }
    }
    let entry = entry.ok_or_else(|| {
        Fault::Invalid(text!(
            "it is an ELF file without a PVH entry point; take the bzImage instead"
        ))
    })?;
    if !(layout::KERNEL_BASE..end).contains(&entry.into()) {
        return Err(Fault::Invalid(text!("its PVH entry point lies outside it")));
    }
    Ok(Loaded {
        protocol: Protocol::Pvh { entry },
        end,
        initrd_limit: low_end,
        command_line_max: layout::COMMAND_LINE_MAX,
    })
}

/// Reads one segment and clears what the file does not fill; returns its end.
fn load_segment(
    ram: &GuestRam,
    file: &mut File,
    size: u64,
    low_end: u64,
    segment: &Elf64_Phdr,
) -> Result<u64, Fault> {
    let (start, in_file, in_memory) = (segment.p_paddr, segment.p_filesz, segment.p_memsz);
    if in_file > in_memory {
        return Err(Fault::Invalid(text!(
            "one of its segments is larger in the file than in memory"
        )));
    }
    if segment.p_offset.checked_add(in_file).is_none_or(|end| end > size) {
        return Err(Fault::truncated());
    }
    if in_memory == 0 {
        return Ok(0);
    }
    if start < layout::KERNEL_BASE {
        return Err(Fault::Invalid(text!("one of its segments belongs below 1 MiB")));
    }
    let end = start
        .checked_add(in_memory)
        .filter(|end| *end < 1 << 32)
        .ok_or_else(|| Fault::Invalid(text!("one of its segments belongs above 4 GiB")))?;
    if end > low_end {
        return Err(Fault::TooLittleMemory(end));
    }
    file.seek(SeekFrom::Start(segment.p_offset)).map_err(Fault::Read)?;
    let other = |error| Fault::Read(std::io::Error::other(error));
    ram.read_exact_volatile_from(GuestAddress(start), file, in_file as usize).map_err(other)?;
    clear(ram, start + in_file..end).map_err(other)?;
    Ok(end)
}

fn clear(ram: &GuestRam, range: std::ops::Range<u64>) -> Result<(), vm_memory::GuestMemoryError> {
    const ZEROES: [u8; 4096] = [0; 4096];
    for at in range.clone().step_by(ZEROES.len()) {
        let len = ZEROES.len().min((range.end - at) as usize);
        ram.write_slice(&ZEROES[..len], GuestAddress(at))?;
    }
    Ok(())
}

/// Looks for the PVH entry point in a segment of notes.
fn find_entry(file: &File, size: u64, segment: &Elf64_Phdr) -> Result<Option<u32>, Fault> {
    let len = segment.p_filesz.min(NOTES_MAX);
    if segment.p_offset.checked_add(len).is_none_or(|end| end > size) {
        return Err(Fault::truncated());
    }
    let mut notes = vec![0; len as usize];
    file.read_exact_at(&mut notes, segment.p_offset).map_err(Fault::Read)?;
    let alignment = if segment.p_align == 8 { 8 } else { 4 };
    Ok(entry_in(&notes, alignment))
}

fn entry_in(notes: &[u8], alignment: usize) -> Option<u32> {
    let mut at = 0usize;
    loop {
        let header_end = at.checked_add(size_of::<Elf64_Nhdr>())?;
        let mut header = Elf64_Nhdr::default();
        header.as_mut_slice().copy_from_slice(notes.get(at..header_end)?);
        let (name_len, description_len) = (header.n_namesz as usize, header.n_descsz as usize);
        let name = notes.get(header_end..header_end.checked_add(name_len)?)?;
        let description_at =
            header_end.checked_add(name_len.checked_next_multiple_of(alignment)?)?;
        let description =
            notes.get(description_at..description_at.checked_add(description_len)?)?;
        if header.n_type == NOTE_PHYS32_ENTRY && name == NOTE_NAME {
            // 4 or 8 bytes; the address is one below 4 GiB.
            let low = description.first_chunk::<4>()?;
            return Some(u32::from_le_bytes(*low));
        }
        at = description_at.checked_add(description_len.checked_next_multiple_of(alignment)?)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(name: &[u8], kind: u32, description: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend((name.len() as u32).to_le_bytes());
        bytes.extend((description.len() as u32).to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        for part in [name, description] {
            bytes.extend(part);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    }

    #[test]
    fn finds_the_entry_among_other_notes() {
        let mut notes = note(b"GNU\0", 3, &[1; 20]);
        notes.extend(note(b"Xen\0", 5, b"linux\0"));
        assert_eq!(entry_in(&notes, 4), None);
        notes.extend(note(b"Xen\0", 18, &0x100_0000u64.to_le_bytes()));
        assert_eq!(entry_in(&notes, 4), Some(0x100_0000));
        assert_eq!(entry_in(&note(b"Xen\0", 18, &[1, 2]), 4), None);
    }

    proptest::proptest! {
        #[test]
        fn any_notes_are_answered(notes: Vec<u8>) {
            entry_in(&notes, 4);
            entry_in(&notes, 8);
        }
    }
}
