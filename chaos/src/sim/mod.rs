//! Simulated machines: processes that can be killed, frozen and thawed, disks that forget, clocks that jump, and a
//! network made by turmoil. Knows nothing about Lockkeeper but its ports.

pub mod card;
pub mod clock;
pub mod dialer;
pub mod disk;
pub mod hello;
pub mod machine;
pub mod replay;

pub use card::{Card, PORT};
pub use clock::{MachineTime, Now, SimClock};
pub use dialer::SimDialer;
pub use disk::{Power, SimFile, SimStore};
pub use hello::Hello;
pub use machine::{Machine, Pause};
