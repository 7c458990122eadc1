use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits { cpus: 2, host_cpus: 8, memory: Bytes::gib(2) };

fn counters(uptime: f64, busy: f64, read: u64) -> Counters {
    Counters {
        uptime: Duration::from_secs_f64(uptime),
        cpu_time: Duration::from_secs_f64(busy),
        resident: 300 << 20,
        guest: Some(200 << 20),
        drives: vec![
            Transferred { inward: read, outward: 0 },
            Transferred { inward: 0, outward: 2 * read },
        ],
        network: None,
    }
}

fn started() -> Record {
    let mut record = Record::default();
    record.begin(LIMITS);
    record
}

#[test]
fn counters_become_rates() {
    let mut record = started();
    assert!(record.take(counters(1.0, 0.5, 1000), 11.0, 101));
    assert!(record.take(counters(3.0, 2.5, 5000), 13.0, 103));
    let first = record.get(0).unwrap();
    assert_eq!((first.cpu, first.host_cpu, first.joined), (0.25, 0.0625, false));
    assert_eq!(first.disk, Rates { inward: 1000.0, outward: 2000.0 });
    let second = record.get(1).unwrap();
    assert_eq!((second.time, second.clock, second.joined), (13.0, 103, true));
    assert_eq!((second.cpu, second.host_cpu), (0.5, 0.125));
    assert_eq!(second.disk, Rates { inward: 2000.0, outward: 4000.0 });
    assert_eq!(record.drive(0, 1), Some(Rates { inward: 2000.0, outward: 0.0 }));
    assert_eq!(record.drive(1, 1), Some(Rates { inward: 0.0, outward: 4000.0 }));
    assert_eq!(record.drive(2, 1), None);
}

#[test]
fn a_pause_is_a_gap_and_not_a_slow_second() {
    let mut record = started();
    record.take(counters(1.0, 1.0, 0), 1.0, 0);
    assert!(!record.take(counters(31.0, 1.5, 0), 31.0, 30), "the pause is between");
    assert!(record.take(counters(32.0, 3.5, 0), 32.0, 31));
    let after = record.latest().unwrap();
    assert_eq!((after.cpu, after.joined), (1.0, false));
    assert_eq!(record.len(), 2);
}

#[test]
fn a_new_start_counts_from_zero_and_keeps_what_was() {
    let mut record = started();
    record.take(counters(1.0, 1.0, 5000), 1.0, 0);
    record.end();
    record.begin(LIMITS);
    assert!(record.take(counters(1.0, 2.0, 10), 61.0, 60));
    assert_eq!(record.len(), 2);
    let point = record.latest().unwrap();
    assert_eq!((point.cpu, point.joined, point.disk.inward), (1.0, false, 10.0));
}

#[test]
fn counters_that_fall_are_a_new_beginning() {
    let mut record = started();
    record.take(counters(1.0, 1.0, 5000), 1.0, 0);
    assert!(!record.take(counters(2.0, 1.5, 10), 2.0, 1));
    assert!(record.take(counters(3.0, 1.5, 110), 3.0, 2));
    assert_eq!(record.latest().unwrap().disk.inward, 100.0);
}

#[test]
fn late_news_stays_evenly_spaced() {
    let mut record = started();
    for n in 1..=5 {
        // The window was busy: the third second's figures come late.
        let now = f64::from(n) + if n == 3 { 0.9 } else { 0.0 };
        record.take(counters(f64::from(n), 0.0, 0), 100.0 + now, 0);
    }
    let times: Vec<f64> = (0..5).map(|n| record.get(n).unwrap().time).collect();
    assert_eq!(times, [101.0, 102.0, 103.0, 104.0, 105.0]);
}

#[test]
fn one_hour_is_kept() {
    let mut record = started();
    for n in 1..=10_000 {
        record.take(counters(f64::from(n), 0.0, 0), f64::from(n), 0);
    }
    assert_eq!(record.len(), 3601);
    assert_eq!(record.get(0).unwrap().time, 6400.0);
    assert_eq!(record.drives(), 2);
    assert!(record.drive(1, 3600).is_some());
    assert!(record.drive(1, 3601).is_none());
}

#[test]
fn nothing_is_allocated_before_there_is_something() {
    let record = started();
    assert_eq!(record.points.capacity(), 0);
}

#[test]
fn finds_points_by_time() {
    let mut record = started();
    assert_eq!(record.nearest(0.0), None);
    for n in 1..=9 {
        record.take(counters(f64::from(n), 0.0, 0), f64::from(n), 0);
    }
    assert_eq!(record.nearest(-5.0), Some(0));
    assert_eq!(record.nearest(4.4), Some(3));
    assert_eq!(record.nearest(4.6), Some(4));
    assert_eq!(record.nearest(99.0), Some(8));
    assert_eq!(record.between(3.0, 5.0), 2..5);
    assert_eq!(record.between(5.0, 3.0), 4..4);
}

#[test]
fn statistics_of_a_machine_are_understood() {
    let statistics = Statistics {
        uptime: Duration::from_secs(4),
        vcpu_time: vec![Duration::from_secs(1), Duration::from_secs(2)],
        resident: 7,
        balloon: vmm_core::machine::BalloonFigures {
            inflated: 0,
            memory: Some(vmm_core::machine::GuestMemory { total: 9, free: 1, available: 4 }),
        },
        disks: vec![vmm_core::machine::DiskStatistics {
            read_bytes: 1,
            written_bytes: 2,
            reads: 3,
            writes: 4,
        }],
        ..Statistics::default()
    };
    let counters = Counters::from(&statistics);
    assert_eq!(counters.cpu_time, Duration::from_secs(3));
    assert_eq!((counters.resident, counters.guest), (7, Some(5)));
    assert_eq!(counters.drives, [Transferred { inward: 1, outward: 2 }]);
}

fn any_counters() -> impl Strategy<Value = Counters> {
    let moved = || (any::<u64>(), any::<u64>());
    let moved = move || moved().prop_map(|(inward, outward)| Transferred { inward, outward });
    (
        0..200_000u64,
        any::<u32>(),
        any::<u64>(),
        prop::collection::vec(moved(), 0..20),
        prop::option::of(moved()),
    )
        .prop_map(|(uptime, busy, resident, drives, network)| Counters {
            uptime: Duration::from_millis(uptime),
            cpu_time: Duration::from_millis(busy.into()),
            resident,
            guest: None,
            drives,
            network,
        })
}

proptest! {
    #[test]
    fn whatever_the_counters_say_the_record_is_sound(
        steps in prop::collection::vec((any_counters(), 0.0..1e5f64, 0..20u8), 0..100)
    ) {
        let mut record = Record::default();
        for (counters, now, what) in steps {
            match what {
                0 => record.begin(LIMITS),
                1 => record.end(),
                _ => {
                    record.take(counters, now, 0);
                }
            }
            prop_assert!(record.len() <= MAX_POINTS && record.drives() <= MAX_DRIVES);
            let points: Vec<_> = record.points.iter().collect();
            prop_assert!(points.windows(2).all(|two| two[0].time < two[1].time));
            for point in points {
                prop_assert!((0.0..=1.0).contains(&point.cpu));
                prop_assert!(point.disk.inward >= 0.0 && point.disk.outward.is_finite());
            }
            prop_assert!(record.drives.iter().all(|drive| drive.len() == record.len()));
        }
    }

    /// What was moved in all is what the rates add up to.
    #[test]
    fn nothing_is_lost(steps in prop::collection::vec((0.5..2.0f64, 0..1u64 << 30), 1..50)) {
        let mut record = started();
        let (mut uptime, mut read) = (0.0, 0);
        let mut sum = 0.0;
        for (seconds, bytes) in steps {
            let before = Duration::from_secs_f64(uptime);
            uptime += seconds;
            read += bytes;
            record.take(counters(uptime, 0.0, read), uptime, 0);
            let exact = Duration::from_secs_f64(uptime) - before;
            sum += f64::from(record.latest().unwrap().disk.inward) * exact.as_secs_f64();
        }
        prop_assert!((sum - read as f64).abs() <= 1e-4 * read as f64 + 1.0);
    }
}
