//! What is wrong in a file, where, and what to write instead.
