//! The output file: what stands in it, when it is written, and where.

mod content;
mod output;
mod output_path;
