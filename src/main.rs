use std::process::ExitCode;

use opsctl::drill;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|word| word == drill::SERVICE) {
        return drill::service(args);
    }
    ExitCode::SUCCESS
}
