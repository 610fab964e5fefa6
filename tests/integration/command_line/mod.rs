//! What a person types, and what is printed in return.

mod addresses;
mod check;
mod check_output;
mod check_result;
mod flags;
mod hanging_files;
mod once;
mod start_warnings;
mod token;
