//! The charts as widgets, in a real window.

#![allow(clippy::unwrap_used)] // What fails here fails the test.

mod support;

use std::time::Duration;

use gtk::prelude::*;
use gtk::{gio, glib};
use support::{again_in_high_contrast, pause, picture, pictures, show, wait};
use ui::resources::{
    Chart, Counters, History, Limits, OverviewPage, Overviewed, Quantity, ResourcesPage, Sparkline,
    Timeline, Transferred,
};
use vmm_core::units::Bytes;

const LIMITS: Limits = Limits { cpus: 2, host_cpus: 8, memory: Bytes::gib(2) };
/// 2026-05-04 10:00:00 UTC
const CLOCK: i64 = 1_777_888_800;

/// A guest that boots, then works now and then.
struct Guest {
    history: History,
    counters: Counters,
    networked: bool,
}

impl Guest {
    fn new(networked: bool) -> Self {
        let history = History::new();
        history.start(LIMITS, vec!["disk.qcow2".into(), "data.qcow2".into()]);
        let counters = Counters { drives: vec![Transferred::default(); 2], ..Counters::default() };
        Self { history, counters, networked }
    }

    /// A second goes by.
    fn second(&mut self) {
        let counters = &mut self.counters;
        counters.uptime += Duration::from_secs(1);
        let t = counters.uptime.as_secs_f64();
        let wave = (t / 4.0).sin() * (t / 11.0).cos() * 0.25 + 0.3 + 0.08 * (t * 2.7).sin();
        let burst = if (t as u64 % 37) < 9 { 0.45 } else { 0.0 };
        counters.cpu_time += Duration::from_secs_f64(2.0 * (wave + burst).clamp(0.01, 1.0));
        counters.resident = ((0.35 + 0.2 * (1.0 - (-t / 25.0).exp())) * 2_147_483_648.0) as u64;
        let busy = (t / 3.0).sin().max(0.0);
        counters.drives[0].inward += (6e6 * busy * busy) as u64;
        counters.drives[0].outward += (2.5e6 * (t / 5.0).cos().max(0.05)) as u64;
        counters.drives[1].outward += 400_000;
        if self.networked {
            let network = counters.network.get_or_insert_default();
            network.inward += (9e5 * (1.0 + (t / 2.0).sin())) as u64;
            network.outward += 120_000;
        }
        self.history.record_at(counters.clone(), t, CLOCK + t as i64);
    }

    fn seconds(mut self, count: u32) -> Self {
        (0..count).for_each(|_| self.second());
        self
    }
}

#[gtk::test]
async fn pictures_of_the_page() {
    let guest = Guest::new(true).seconds(90);
    let page = ResourcesPage::new();
    page.set_history(Some(&guest.history));
    let window = show(&page, 1000, 720).await;
    pictures(&window, "resources").await;
    page.timeline().point_at(Some(0.4));
    pictures(&window, "resources-cursor").await;
    page.timeline().point_at(None);
    page.set_history(Some(&Guest::new(true).seconds(3700).history));
    page.timeline().set_span(3600.0);
    pause(300).await;
    picture(&window, "resources-hour", 1).await;
    window.destroy();

    let page = ResourcesPage::new();
    page.set_history(Some(&Guest::new(false).seconds(90).history));
    let narrow = show(&page, 420, 800).await;
    pictures(&narrow, "resources-narrow").await;
    narrow.destroy();
    let empty = show(&ResourcesPage::new(), 800, 500).await;
    pictures(&empty, "resources-empty").await;
    empty.destroy();
    again_in_high_contrast("pictures_of_the_page");
}

#[gtk::test]
async fn pictures_of_the_overview() {
    let names = gio::ListStore::new::<gtk::StringObject>();
    for name in ["Debian 13", "Fedora Workstation", "A machine that is off"] {
        names.append(&gtk::StringObject::new(name));
    }
    let histories = [Guest::new(false).seconds(90), Guest::new(false).seconds(33)]
        .map(|guest| guest.history)
        .into_iter()
        .chain([History::new()])
        .collect::<Vec<_>>();
    let page = OverviewPage::new();
    page.set_model(&names, move |object| {
        let name = object.downcast_ref::<gtk::StringObject>().unwrap().string();
        let index = ["D", "F", "A"].iter().position(|letter| name.starts_with(letter)).unwrap();
        let state = if index == 2 { "Off" } else { "Running" };
        Overviewed { name: name.into(), state: state.into(), history: histories[index].clone() }
    });
    let window = show(&page, 1000, 640).await;
    wait(|| page.host().borrow().len() >= 2).await;
    pictures(&window, "overview").await;
    window.destroy();
    again_in_high_contrast("pictures_of_the_overview");
}

#[gtk::test]
async fn nothing_is_drawn_and_nobody_asked_while_hidden() {
    adw::init().unwrap();
    let mut guest = Guest::new(false).seconds(10);
    let page = ResourcesPage::new();
    page.set_history(Some(&guest.history));
    let line = Sparkline::new(Quantity::Cpu);
    line.set_history(Some(&guest.history));
    let overview = OverviewPage::new();
    let stack = gtk::Stack::new();
    let both = gtk::Box::new(gtk::Orientation::Vertical, 0);
    both.append(&line);
    both.append(&page);
    page.set_vexpand(true);
    stack.add_named(&both, Some("charts"));
    stack.add_named(&overview, Some("overview"));
    stack.add_named(&gtk::Label::new(Some("Else")), Some("else"));
    let window = show(&stack, 800, 600).await;
    let drawn = || page.charts().iter().map(Chart::times_drawn).sum::<u64>() + line.times_drawn();

    let before = drawn();
    guest.second();
    wait(|| drawn() > before).await;
    assert!(guest.history.is_watched(), "a chart of its memory is seen");

    stack.set_visible_child_name("overview");
    wait(|| overview.host().borrow().len() >= 2).await;
    stack.set_visible_child_name("else");
    pause(1100).await;
    let (before, asked) = (drawn(), overview.host().borrow().len());
    for _ in 0..3 {
        guest.second();
        pause(700).await;
    }
    assert_eq!(drawn(), before, "charts were drawn while hidden");
    assert!(!guest.history.is_watched(), "its memory was asked for while hidden");
    assert_eq!(overview.host().borrow().len(), asked, "the host was asked while hidden");

    stack.set_visible_child_name("charts");
    wait(|| drawn() > before).await;
    window.destroy();
}

#[gtk::test]
async fn a_second_costs_few_frames() {
    let mut guest = Guest::new(false).seconds(10);
    let page = ResourcesPage::new();
    page.set_history(Some(&guest.history));
    let window = show(&page, 800, 600).await;
    pause(500).await;
    let chart = page.charts().remove(0);
    for (animated, most) in [(true, 4), (false, 1)] {
        page.timeline().set_animated(animated);
        pause(300).await;
        let before = chart.times_drawn();
        guest.second();
        pause(1200).await;
        let frames = chart.times_drawn() - before;
        assert!((1..=most).contains(&frames), "{frames} frames");
    }
    window.destroy();
}

#[gtk::test]
async fn the_text_alternative_follows() {
    let history = History::new();
    history.start(LIMITS, Vec::new());
    let timeline = Timeline::new();
    timeline.set_history(Some(&history));
    let chart = Chart::new(Quantity::Cpu, &timeline);
    let window = show(&chart, 500, 300).await;
    let mut counters = Counters::default();
    for share in [0.8, 0.37] {
        counters.uptime += Duration::from_secs(1);
        counters.cpu_time += Duration::from_secs_f64(2.0 * share);
        let time = counters.uptime.as_secs_f64();
        history.record_at(counters.clone(), time, CLOCK);
    }
    assert_eq!(chart.description(), "CPU 37 %, highest in the last minute 80 %");
    window.destroy();
}

#[gtk::test]
async fn time_is_walked_zoomed_and_panned() {
    let mut guest = Guest::new(false).seconds(600);
    let timeline = Timeline::new();
    timeline.set_animated(false);
    timeline.set_history(Some(&guest.history));
    let chart = Chart::new(Quantity::Cpu, &timeline);
    let window = show(&chart, 500, 300).await;

    timeline.step_cursor(-1);
    assert_eq!(timeline.cursor(), Some(599));
    timeline.step_cursor(-1);
    assert_eq!(timeline.cursor(), Some(598));
    // Past the left edge the view follows.
    timeline.step_cursor(-100);
    assert_eq!(timeline.cursor(), Some(498));
    assert_eq!(timeline.end(), 499.0 + 60.0);
    timeline.step_cursor(i64::from(i32::MIN));
    assert_eq!(timeline.cursor(), Some(0));
    timeline.step_cursor(i64::from(i32::MAX));
    assert!(timeline.is_at_end() && timeline.cursor() == Some(599));

    // What is looked at stays where it is while time goes on.
    timeline.pan(100.0);
    assert_eq!(timeline.end(), 500.0);
    wait(|| chart.is_mapped()).await;
    guest.second();
    assert_eq!(timeline.end(), 500.0);
    timeline.set_span(1e9);
    assert_eq!(timeline.span(), 3600.0);
    assert!(timeline.is_at_end(), "all there is fits");
    timeline.set_span(0.0);
    assert_eq!(timeline.span(), 15.0);
    timeline.reset();
    assert_eq!((timeline.span(), timeline.cursor()), (60.0, None));
    window.destroy();
}

#[gtk::test]
async fn what_was_stays_after_the_end() {
    adw::init().unwrap();
    let page = ResourcesPage::new();
    let stack = page.first_child().and_downcast::<gtk::Stack>().unwrap();
    let shown = || stack.visible_child_name().unwrap();
    assert_eq!(shown(), "empty");
    let history = History::new();
    page.set_history(Some(&history));
    assert_eq!(shown(), "empty");
    history.start(LIMITS, Vec::new());
    assert_eq!(shown(), "charts");
    let guest = Guest { history, ..Guest::new(false) }.seconds(5);
    guest.history.stop();
    assert_eq!(shown(), "charts");
    page.set_history(None);
    assert_eq!(shown(), "empty");
    page.set_history(Some(&guest.history));
    assert_eq!(shown(), "charts");
}

#[gtk::test]
async fn the_overview_follows_its_model() {
    adw::init().unwrap();
    let model = gio::ListStore::new::<gtk::StringObject>();
    let page = OverviewPage::new();
    page.set_model(&model, |object| Overviewed {
        name: object.downcast_ref::<gtk::StringObject>().unwrap().string().into(),
        state: "Off".into(),
        history: History::new(),
    });
    // Rows are made for who looks.
    let window = show(&page, 800, 600).await;
    let count = || page.sparklines().len() / 2;
    assert_eq!(count(), 0);
    model.splice(0, 0, &["a", "b", "c"].map(gtk::StringObject::new));
    assert_eq!(count(), 3);
    model.remove(1);
    assert_eq!(count(), 2);
    let weak = page.downgrade();
    page.set_model(&gio::ListStore::new::<gtk::StringObject>(), |_| unreachable!());
    assert_eq!(count(), 0);
    window.destroy();
    drop((window, page));
    assert!(weak.upgrade().is_none(), "the page is not kept by what it listens to");
}

#[gtk::test]
async fn widgets_are_freed() {
    adw::init().unwrap();
    let guest = Guest::new(false).seconds(5);
    let page = ResourcesPage::new();
    page.set_history(Some(&guest.history));
    let window = show(&page, 600, 500).await;
    let weak: Vec<glib::WeakRef<gtk::Widget>> = page
        .charts()
        .iter()
        .map(|chart| chart.upcast_ref::<gtk::Widget>().downgrade())
        .chain([page.upcast_ref::<gtk::Widget>().downgrade()])
        .collect();
    window.destroy();
    drop((window, page));
    pause(300).await;
    assert!(weak.iter().all(|weak| weak.upgrade().is_none()));
}
