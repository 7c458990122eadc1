//! Logs (ATA8-ACS annex A) and SMART (§7.52).

use super::super::fis::HostFis;
use super::super::identity::checksum;
use super::super::task::{Outcome, TaskFile, error};
use super::{Disk, LoggedError, pio_in};

/// Log addresses: the directory, and the failed command of the queue.
const LOG_DIRECTORY: u8 = 0x00;
const LOG_QUEUED_ERROR: u8 = 0x10;

/// What the LBA registers hold above the low byte in every SMART command.
const SMART_KEY: u64 = 0xc24f;
/// An off-line collection that was never started takes this many seconds.
const SMART_COLLECTION_SECONDS: u8 = 1;

impl Disk {
    /// Remembers the queued command that failed for log 10h.
    pub(in super::super) fn log_error(&mut self, tag: u8, task_file: &TaskFile) {
        self.state.error = Some(LoggedError { tag, task_file: *task_file });
    }

    /// READ LOG EXT.
    pub(super) fn read_log(&mut self, fis: &HostFis) -> Outcome {
        let (log, page) = (fis.lba as u8, fis.lba >> 8 & 0xff);
        let data = match (log, page, fis.count) {
            (LOG_DIRECTORY, 0, 1) => {
                let mut directory = vec![0; 512];
                // Version 1; each log's number of pages is at twice its address.
                directory[0] = 1;
                directory[2 * usize::from(LOG_QUEUED_ERROR)] = 1;
                directory
            }
            (LOG_QUEUED_ERROR, 0, 1) => self.error_page(),
            _ => return Outcome::plain(TaskFile::failed(fis, error::ABRT)),
        };
        pio_in(fis, data)
    }

    /// ATA8-ACS §A.14.
    fn error_page(&self) -> Vec<u8> {
        let mut page = vec![0; 512];
        match &self.state.error {
            Some(LoggedError { tag, task_file }) => {
                page[0] = tag & 0x1f;
                let lba = task_file.lba.to_le_bytes();
                page[2] = task_file.status;
                page[3] = task_file.error;
                page[4..7].copy_from_slice(&lba[..3]);
                page[7] = task_file.device;
                page[8..11].copy_from_slice(&lba[3..6]);
                page[12..14].copy_from_slice(&task_file.count.to_le_bytes());
            }
            // No queued command failed.
            None => page[0] = 0x80,
        }
        page[511] = checksum(&page[..511]);
        page
    }

    /// SMART: this disk is always well.
    pub(super) fn smart(&mut self, fis: &HostFis) -> Outcome {
        let aborted = Outcome::plain(TaskFile::failed(fis, error::ABRT));
        let feature = fis.features as u8;
        if fis.lba >> 8 & 0xffff != SMART_KEY || (!self.state.smart && feature != 0xd8) {
            return aborted;
        }
        match feature {
            // READ DATA, READ THRESHOLDS: no attribute is in use.
            0xd0 | 0xd1 => {
                let mut page = vec![0; 512];
                page[0] = 0x10;
                page[364] = SMART_COLLECTION_SECONDS;
                page[511] = checksum(&page[..511]);
                pio_in(fis, page)
            }
            // ATTRIBUTE AUTOSAVE; RETURN STATUS, whose answer for a healthy disk is the key.
            0xd2 | 0xda => Outcome::plain(TaskFile::ok(fis)),
            0xd8 | 0xd9 => {
                self.state.smart = feature == 0xd8;
                Outcome::plain(TaskFile::ok(fis))
            }
            _ => aborted,
        }
    }
}
