//! The handler of a function, the same in Lambda and in the emulator, and the bootstrap of a Lambda binary.
//!
//! | module | what it holds |
//! |---|---|
//! | [`events`] | the payload of an invocation: which objects it names |
//! | [`function`] | the handler of a function |
//! | [`lambda`] | the bootstrap of a Lambda binary |
//! | [`settings`] | the environment variables |
//! | [`logging`] | JSON logs |
//! | [`metrics`] | the metrics that CloudWatch reads from the logs |

mod deadline;
pub mod events;
pub mod function;
pub mod lambda;
pub mod logging;
pub mod metrics;
pub mod settings;
