"""A guest whose shell is bashkit, a bash in Rust, and whose programs are bashkit's and ours."""
