//! A script as options of a subcommand.
//!
//! clap's derive keeps no order between different options, and here order is the meaning: so every
//! option parses to an [`Item`], and the items are lined up by their place on the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{TypedValueParser, ValueParser};
use clap::{Arg, ArgAction, ArgMatches, Args, FromArgMatches};

use vmm_core::devices::virtio::input::AXIS_END;
use vmm_core::units::Bytes;
use vmm_core::{gettext_noop, text};

use super::{Action, Color, Condition, Script, Step, keys};

const HEADING: &str = gettext_noop!("Script");

/// The longest time that can be asked for; more would overflow clocks.
const MAX_SECONDS: f64 = 365.0 * 86400.0;

/// One option.
#[derive(Debug, Clone)]
enum Item {
    Condition(Condition),
    Action(Action),
}

/// Every option: its name, its value's name (none for a flag), how it is read, and its help.
type Option_ = (&'static str, Option<&'static str>, ValueParser, &'static str);

fn options() -> Vec<Option_> {
    vec![
        (
            "until-serial",
            Some("REGEX"),
            text(|text| {
                let regex = regex::bytes::RegexBuilder::new(text).multi_line(true).build();
                regex.map(|r| Item::Condition(Condition::Serial(r))).map_err(regex_message)
            }),
            gettext_noop!("Wait until the guest has written this to its serial port"),
        ),
        (
            "until-screen",
            Some("REGEX"),
            text(|text| {
                let regex = regex::RegexBuilder::new(text).multi_line(true).build();
                regex.map(|r| Item::Condition(Condition::Screen(r))).map_err(regex_message)
            }),
            gettext_noop!("Wait until this stands on the screen (text modes)"),
        ),
        (
            "until-color",
            Some("RRGGBB[,PERCENT]"),
            text(|text| color(text).map(|color| Item::Condition(Condition::Color(color)))),
            gettext_noop!("Wait until this colour fills so much of the screen [percent: 10]"),
        ),
        (
            "until-graphics",
            None,
            text(|_| Ok(Item::Condition(Condition::Graphics))),
            gettext_noop!("Wait until the screen shows pixels, not characters"),
        ),
        (
            "until-change",
            None,
            text(|_| Ok(Item::Condition(Condition::Change))),
            gettext_noop!("Wait until the screen changes"),
        ),
        (
            "until-still",
            Some("SECONDS"),
            text(|text| seconds(text).map(|time| Item::Condition(Condition::Still(time)))),
            gettext_noop!(
                "Wait until the screen shows something and has not changed for so long (a blinking cursor \
             changes it)"
            ),
        ),
        (
            "until-off",
            None,
            text(|_| Ok(Item::Condition(Condition::Off))),
            gettext_noop!("Wait until the guest has powered off"),
        ),
        (
            "wait",
            Some("SECONDS"),
            text(|text| seconds(text).map(|time| Item::Condition(Condition::Wait(time)))),
            gettext_noop!("Wait so long"),
        ),
        (
            "type",
            Some("TEXT"),
            text(|text| {
                let strokes = keys::parse_keys(text).map_err(|error| error.to_string())?;
                Ok(Item::Action(Action::Type(strokes)))
            }),
            gettext_noop!(
                "Type on the guest's keyboard; \\n \\t \\e \\\\ \\xNN are as usual, keys have names: \
             <up> <f12> <ctrl-alt-del>"
            ),
        ),
        (
            "type-serial",
            Some("TEXT"),
            text(|text| {
                let bytes = keys::parse_bytes(text).map_err(|error| error.to_string())?;
                Ok(Item::Action(Action::TypeSerial(bytes)))
            }),
            gettext_noop!(
                "Send to the guest's serial port; \\n \\r \\t \\e \\\\ \\xNN are as usual"
            ),
        ),
        (
            "point",
            Some("X,Y"),
            text(|text| place(text).map(|(x, y)| Item::Action(Action::Point(x, y)))),
            gettext_noop!(
                "Move the pointer to this place of the screen, in percent of its width and height; \
             for guests that have a driver for the virtio tablet"
            ),
        ),
        (
            "click",
            None,
            text(|_| Ok(Item::Action(Action::Click))),
            gettext_noop!("Click with the left button where the pointer is"),
        ),
        (
            "balloon",
            Some("SIZE"),
            text(|text| {
                let memory: Bytes = text.parse().map_err(|error| format!("{error}"))?;
                Ok(Item::Action(Action::Balloon(memory)))
            }),
            gettext_noop!(
                "Have the guest give up so much of its memory, 0 for none; for guests that have a driver \
             for the virtio balloon"
            ),
        ),
        (
            "grow-disk",
            Some("NUMBER,SIZE"),
            text(|text| {
                disk_size(text).map(|(drive, size)| Item::Action(Action::GrowDisk(drive, size)))
            }),
            gettext_noop!(
                "Make a virtio disk larger while the guest uses it; the first drive has number 0"
            ),
        ),
        (
            "screenshot",
            Some("FILE.png"),
            ValueParser::new(
                clap::builder::PathBufValueParser::new()
                    .map(|path| Item::Action(Action::Screenshot(path))),
            ),
            gettext_noop!("Take a picture of the screen"),
        ),
        (
            "insert",
            Some("FILE"),
            ValueParser::new(
                clap::builder::PathBufValueParser::new()
                    .map(|path: PathBuf| Item::Action(Action::ChangeMedium(Some(path)))),
            ),
            gettext_noop!("Put another ISO image into the optical drive"),
        ),
        (
            "eject",
            None,
            text(|_| Ok(Item::Action(Action::ChangeMedium(None)))),
            gettext_noop!("Empty the optical drive"),
        ),
        (
            "pause",
            Some("SECONDS"),
            text(|text| seconds(text).map(|time| Item::Action(Action::Pause(time)))),
            gettext_noop!("Let the machine stand still for so long"),
        ),
        (
            "acpi-shutdown",
            None,
            text(|_| Ok(Item::Action(Action::Shutdown))),
            gettext_noop!("Press the power button"),
        ),
        (
            "reset",
            None,
            text(|_| Ok(Item::Action(Action::Reset))),
            gettext_noop!("Press the reset button"),
        ),
    ]
}

fn text(
    parse: impl Fn(&str) -> Result<Item, String> + Clone + Send + Sync + 'static,
) -> ValueParser {
    ValueParser::new(move |text: &str| parse(text))
}

/// The last line of what the parser draws, which says what is wrong.
fn regex_message(error: regex::Error) -> String {
    let message = error.to_string();
    let last = message.lines().last().unwrap_or_default();
    text!(
        "not a regular expression: {reason}",
        reason = last.strip_prefix("error: ").unwrap_or(last)
    )
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number: Option<f64> = text.parse().ok();
    number
        .filter(|seconds| (0.0..=MAX_SECONDS).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| text!("write a number of seconds, such as 30 or 0.5"))
}

fn color(text: &str) -> Result<Color, String> {
    let read = || {
        let (rgb, percent) = match text.split_once(',') {
            Some((rgb, percent)) => (rgb, percent.parse().ok()?),
            None => (text, 10.0),
        };
        if rgb.len() != 6 || !rgb.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let [_, red, green, blue] = u32::from_str_radix(rgb, 16).ok()?.to_be_bytes();
        let color = Color { rgb: [red, green, blue], percent };
        (0.0..=100.0).contains(&percent).then_some(color)
    };
    read().ok_or_else(|| text!("write six hexadecimal digits and a percentage: 0000aa,50"))
}

/// Percentages of the screen's sides, as places on the tablet's axes.
fn place(text: &str) -> Result<(u16, u16), String> {
    let axis = |text: &str| {
        let percent: f64 = text.trim().parse().ok()?;
        let in_range = (0.0..=100.0).contains(&percent);
        in_range.then(|| (percent / 100.0 * f64::from(AXIS_END)).round() as u16)
    };
    let place = text.split_once(',').and_then(|(x, y)| Some((axis(x)?, axis(y)?)));
    place.ok_or_else(|| text!("write two percentages, such as 50,12.5"))
}

/// A drive's number and a size.
fn disk_size(text: &str) -> Result<(usize, Bytes), String> {
    let (drive, size) = text.split_once(',').unwrap_or_default();
    let drive =
        drive.trim().parse().map_err(|_| text!("write a drive's number and a size: 0,40G"))?;
    let size: Bytes = size.trim().parse().map_err(|error| format!("{error}"))?;
    Ok((drive, size))
}

impl Args for Script {
    fn augment_args(command: clap::Command) -> clap::Command {
        let steps = options().into_iter().map(|(name, value, parser, help)| {
            let arg = Arg::new(name)
                .long(name)
                .help(help)
                .help_heading(HEADING)
                .action(ArgAction::Append)
                .value_parser(parser);
            match value {
                Some(value) => arg.value_name(value).allow_hyphen_values(true),
                None => arg.num_args(0).default_missing_value(""),
            }
        });
        let timeout = Arg::new("timeout")
            .long("timeout")
            .value_name("SECONDS")
            .help(gettext_noop!("Give up after so long, with exit status 3"))
            .help_heading(HEADING)
            .value_parser(seconds);
        command.args(steps).arg(timeout).after_long_help(HELP)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

/// Shown below the options.
const HELP: &str = gettext_noop!(
    "\
Script options work in the order in which they are given. Each --until-… and --wait begins a step; \
what follows it is done once it is met; then the next step begins. What stands before the first \
belongs to it. After the last step the machine is powered off. Pictures not taken by the end of the \
run, such as at a timeout, are taken then.

  berth boot --iso grub.iso --until-screen 'GNU GRUB' --type '<down>\\n' --wait 2 --screenshot x.png

Exit status: 0 when the guest has powered off or the last step is done, 1 on an error, \
3 on a timeout."
);

impl FromArgMatches for Script {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut items = Vec::new();
        for (name, ..) in options() {
            let indices = matches.indices_of(name).into_iter().flatten();
            let values = matches.get_many::<Item>(name).into_iter().flatten();
            items.extend(indices.zip(values.cloned()));
        }
        items.sort_by_key(|(index, _)| *index);
        let items = items.into_iter().map(|(_, item)| item);
        Ok(Self { steps: steps(items), timeout: matches.get_one("timeout").copied() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Lines up items as steps.
fn steps(items: impl Iterator<Item = Item>) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut before = Vec::new();
    for item in items {
        match (item, steps.last_mut()) {
            (Item::Condition(condition), _) => {
                steps.push(Step { condition, actions: std::mem::take(&mut before) });
            }
            (Item::Action(action), Some(step)) => step.actions.push(action),
            (Item::Action(action), None) => before.push(action),
        }
    }
    if steps.is_empty() {
        // Nothing to wait for: act at once, run until the guest is off, and take pictures of that.
        let (pictures, others) =
            before.into_iter().partition(|action| matches!(action, Action::Screenshot(_)));
        steps.push(Step { condition: Condition::Started, actions: others });
        steps.push(Step { condition: Condition::Off, actions: pictures });
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Test {
        #[command(flatten)]
        script: Script,
    }

    fn outline(arguments: &[&str]) -> Vec<String> {
        let test = Test::try_parse_from([&["test"], arguments].concat()).unwrap();
        let name = |action: &Action| match action {
            Action::Type(_) => "type",
            Action::Point(..) => "point",
            Action::Click => "click",
            Action::Balloon(_) => "balloon",
            Action::GrowDisk(..) => "grow",
            Action::TypeSerial(_) => "serial",
            Action::Screenshot(_) => "shot",
            Action::ChangeMedium(Some(_)) => "insert",
            Action::ChangeMedium(None) => "eject",
            Action::Pause(_) => "pause",
            Action::Shutdown => "shutdown",
            Action::Reset => "reset",
        };
        let step = |step: &Step| {
            let actions: Vec<_> = step.actions.iter().map(name).collect();
            format!("{}: {}", step.condition, actions.join(" "))
        };
        test.script.steps.iter().map(step).collect()
    }

    #[test]
    fn options_pair_up_in_the_order_given() {
        assert_eq!(
            outline(&[
                "--until-screen",
                "GRUB",
                "--type",
                "<down>",
                "--eject",
                "--type-serial",
                "-x",
                "--until-serial",
                "login",
                "--insert",
                "a.iso",
                "--eject",
                "--pause",
                "1",
                "--until-off",
                "--screenshot",
                "x.png",
            ]),
            [
                "“GRUB” on the screen: type eject serial",
                "“login” on the serial port: insert eject pause",
                "the guest to power off: shot",
            ]
        );
    }

    #[test]
    fn what_stands_before_the_first_condition_belongs_to_it() {
        assert_eq!(
            outline(&["--screenshot", "x.png", "--type", "a", "--until-still", "2", "--reset"]),
            ["the screen to be still for 2 s: shot type reset"]
        );
    }

    #[test]
    fn without_conditions_the_guest_runs_until_it_is_off() {
        assert_eq!(outline(&[]), ["the start: ", "the guest to power off: "]);
        assert_eq!(
            outline(&["--screenshot", "x.png", "--acpi-shutdown"]),
            ["the start: shutdown", "the guest to power off: shot"]
        );
    }

    #[test]
    fn the_pointer_and_memory_take_part() {
        assert_eq!(
            outline(&["--wait", "1", "--point", "0,100", "--click", "--balloon", "1G"]),
            ["1 s to pass: point click balloon"]
        );
        assert_eq!(place("0,100"), Ok((0, AXIS_END)));
        assert_eq!(place(" 50 , 12.5 "), Ok((16384, 4096)));
    }

    #[test]
    fn disks_grow_by_their_numbers() {
        assert_eq!(outline(&["--wait", "1", "--grow-disk", "1,40G"]), ["1 s to pass: grow"]);
        assert_eq!(disk_size("1, 40G"), Ok((1, Bytes::gib(40))));
    }

    #[test]
    fn bad_values_are_refused() {
        for arguments in [
            ["--timeout", "-1"],
            ["--timeout", "nan"],
            ["--timeout", "1e300"],
            ["--wait", "soon"],
            ["--until-serial", "("],
            ["--type", "<nokey>"],
            ["--until-color", "blue"],
            ["--until-color", "0000aa,101"],
            ["--until-color", "+000aa"],
            ["--point", "50"],
            ["--point", "101,0"],
            ["--point", "-1,nan"],
            ["--balloon", "lots"],
            ["--grow-disk", "40G"],
            ["--grow-disk", "first,40G"],
            ["--grow-disk", "0,lots"],
        ] {
            assert!(Test::try_parse_from(["test", arguments[0], arguments[1]]).is_err());
        }
    }
}
