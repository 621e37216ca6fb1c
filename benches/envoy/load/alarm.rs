//! Waits for a point in time: the runtime's own clock has steps of a millisecond, which is what is to be measured.

use std::time::Instant;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::net::unix::pipe::Receiver;

/// A timer of the kernel, which is read as a pipe is.
pub struct Alarm(Receiver);

impl Alarm {
    pub fn new() -> Self {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags).expect("a timer");
        Self(Receiver::from_owned_fd_unchecked(timer).expect("a timer that can be waited for"))
    }

    /// Returns at that time, or at once if it is over; the others of this thread have had their turn either way.
    pub async fn until(&self, due: Instant) {
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return tokio::task::yield_now().await;
        }
        let none = Timespec { tv_sec: 0, tv_nsec: 0 };
        let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        let once = Itimerspec { it_interval: none, it_value: left };
        timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once).expect("a timer");
        loop {
            self.0.readable().await.expect("a timer");
            if self.0.try_read(&mut [0; 8]).is_ok() {
                return;
            }
        }
    }
}
