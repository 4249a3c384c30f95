//! Views as text for people, and as JSON for scripts. Pure functions from a view and a moment to text: nothing here
//! asks an agent or writes anywhere, except `live`, which redraws a terminal.

pub mod breakglass;
pub mod audit;
pub mod changes;
pub mod doctor;
pub mod failure;
pub mod faults;
pub mod history;
pub mod json;
pub mod live;
pub mod locks;
pub mod members;
pub mod moment;
pub mod owed;
pub mod paint;
pub mod picture;
pub mod simulated;
pub mod source;
pub mod status;
pub mod step;
pub mod table;
pub mod trust;
pub mod why;

#[cfg(test)]
mod tests;
