use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
/// Keeps things in boxes
///
/// Any number of boxes, on one shelf.
#[derive(Parser, Debug)]
#[command(name = "box", version, after_help = "Boxes are square.")]
struct Cli {
    /// Say less
    #[arg(short, long, global = true)]
    quiet: bool,
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Cmd>,
}
#[derive(Subcommand, Debug)]
enum Cmd {
    /// Open a box
    #[command(visible_alias = "unlock")]
    Open(Open),
    /// Run something in a box
    Run(Run),
    /// Put things into a box
    Fill(Fill),
    /// Order what is in a box
    Sort(Sort),
    /// Look after the shelf
    #[command(subcommand, visible_aliases = ["rack", "board"])]
    Shelf(Shelf),
    #[command(hide = true)]
    Secret,
}
#[derive(Args, Debug)]
struct Open {
    /// Which box
    name: String,
    /// How wide
    #[arg(short, long, value_name = "N", default_value = "3")]
    size: u8,
    #[arg(long)]
    offset: Option<i32>,
    #[arg(long)]
    bytes: Option<u64>,
    /// Its color
    #[arg(short = 'c', long, visible_short_alias = 'C', visible_alias = "colour", value_name = "COLOR")]
    color: Option<Color>,
    /// What to copy
    ///
    /// Nothing is copied
    /// from nowhere.
    #[arg(long, value_name = "PATH", conflicts_with = "color")]
    from: Option<PathBuf>,
    #[arg(short, long, value_name = "TAG")]
    tag: Vec<String>,
    #[arg(long, requires = "lock")]
    key: bool,
    #[arg(long)]
    lock: Option<String>,
    #[arg(long, hide = true)]
    trap: bool,
}
#[derive(Clone, Debug, ValueEnum)]
enum Color {
    Red,
    Green,
    Blue,
}
#[derive(Clone, Debug, ValueEnum)]
enum Shape {
    /// Four corners
    Square,
    /// No corners
    Round,
}
#[derive(Args, Debug)]
struct Run {
    #[arg(long)]
    name: Option<String>,
    #[arg(trailing_var_arg = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}
#[derive(Args, Debug)]
struct Fill {
    from: String,
    to: Option<String>,
    #[arg(long, required_unless_present_any = ["all"])]
    count: Option<u32>,
    #[arg(long)]
    all: bool,
    #[arg(last = true, value_name = "ITEM")]
    items: Vec<String>,
}
#[derive(Args, Debug)]
#[command(group(clap::ArgGroup::new("way").required(true).args(["up", "down"])))]
struct Sort {
    #[arg(long)]
    up: bool,
    #[arg(long)]
    down: bool,
    #[arg(long, help_heading = "Depth")]
    deep: bool,
    /// Which boxes, a description that is long enough to go below its option
    #[arg(long, value_name = "SHAPE_OF_THE_BOXES_TO_SORT", default_value = "square", help_heading = "Depth")]
    shape: Shape,
}
#[derive(Subcommand, Debug)]
enum Shelf {
    /// Wipe it
    Clean { #[arg(long)] wet: bool },
    /// Count the boxes
    Count,
}
fn main() {
    println!("{:?}", Cli::parse());
}
