//! What machines use: processor, memory, disks, network, as charts that move once a second.
//!
//! What lives here: [`History`], an hour of a machine's figures, and the widgets that show it:
//! [`ResourcesPage`] for one machine, [`OverviewPage`] for all of them and the host, [`Sparkline`]
//! for a row of a list. What does not: fetching a machine's figures. Whoever follows the machine
//! calls [`History::start`], [`History::record`] once a second and [`History::stop`].
//!
//! Nothing is drawn, and the host is not asked, while no widget is on the screen.

mod card;
mod chart;
mod history;
mod host;
mod overview;
mod page;
mod quantity;
mod readout;
mod record;
mod rows;
mod sparkline;
pub(crate) mod units;

pub use self::chart::{Chart, Timeline};
pub use self::history::{History, Watching};
pub use self::overview::{OverviewPage, Overviewed};
pub use self::page::ResourcesPage;
pub use self::quantity::Quantity;
pub use self::record::{Counters, Limits, Point, Rates, Record, Transferred};
pub use self::sparkline::Sparkline;
