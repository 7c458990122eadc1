//! Who listens to a machine.

use async_channel::{Receiver, Sender, TrySendError, bounded};
use parking_lot::Mutex;

use super::message::{Event, State};

/// Events a listener may be behind. A listener further behind loses the oldest.
const BACKLOG: usize = 256;

struct Inner {
    state: State,
    /// Whether the guest follows a tablet.
    tablet: bool,
    listeners: Vec<Sender<Event>>,
}

/// The listeners, and what new ones are told first.
pub(super) struct Subscribers {
    inner: Mutex<Inner>,
}

impl Subscribers {
    pub(super) fn new() -> Self {
        Self {
            inner: Mutex::new(Inner {
                state: State::Created,
                tablet: false,
                listeners: Vec::new(),
            }),
        }
    }

    pub(super) fn subscribe(&self) -> Receiver<Event> {
        let (sender, receiver) = bounded(BACKLOG);
        let mut inner = self.inner.lock();
        sender.try_send(Event::State(inner.state.clone())).expect("a new channel has room");
        if !matches!(inner.state, State::Stopped(_)) {
            if inner.tablet {
                sender.try_send(Event::Tablet(true)).expect("a new channel has room");
            }
            inner.listeners.push(sender);
        }
        receiver
    }

    pub(super) fn state(&self) -> State {
        self.inner.lock().state.clone()
    }

    /// Tells everybody. Never waits: figures are dropped for who does not keep up.
    pub(super) fn tell(&self, event: &Event) {
        let mut inner = self.inner.lock();
        match event {
            Event::State(state) => inner.state = state.clone(),
            Event::Tablet(used) => inner.tablet = *used,
            _ => {}
        }
        inner.listeners.retain(|listener| match listener.try_send(event.clone()) {
            Ok(()) => true,
            Err(TrySendError::Full(Event::Statistics(_))) => true,
            Err(TrySendError::Full(event)) => listener.force_send(event).is_ok(),
            Err(TrySendError::Closed(_)) => false,
        });
        if matches!(inner.state, State::Stopped(_)) {
            // Channels close: who waits for more need not.
            inner.listeners.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::StopReason;
    use super::*;

    #[test]
    fn late_listeners_hear_the_state_and_slow_ones_the_end() {
        let subscribers = Subscribers::new();
        let slow = subscribers.subscribe();
        subscribers.tell(&Event::State(State::Running));
        for _ in 0..1000 {
            subscribers.tell(&Event::Statistics(super::super::Statistics::default()));
        }
        subscribers.tell(&Event::Tablet(true));
        let late = subscribers.subscribe();
        assert_eq!(late.recv_blocking(), Ok(Event::State(State::Running)));
        assert_eq!(late.recv_blocking(), Ok(Event::Tablet(true)));
        let end = Event::State(State::Stopped(StopReason::Requested));
        subscribers.tell(&end);
        assert_eq!(late.recv_blocking(), Ok(end.clone()));
        assert!(late.recv_blocking().is_err());
        let mut last = None;
        while let Ok(event) = slow.recv_blocking() {
            last = Some(event);
        }
        assert_eq!(last, Some(end));
    }
}
