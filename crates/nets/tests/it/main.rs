//! Files of weights as others write them, and as nobody should.

mod archive;
mod blip2;
mod checkpoints;
mod hostile;
mod memory;
