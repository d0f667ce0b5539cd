//! The caller that the tests start and kill, wired like the real one: `guard` is its hidden subcommand.
//!
//! `hold FOLDER` (or `hold ephemeral`) starts a server, says where it is, and keeps it until standard input ends.
//! `fetch FOLDER` downloads a server into that cache folder.

use std::{
    env,
    error::Error,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use private_postgres::{Data, Guard, Options, PrivatePostgres, fetch, guard};

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["guard"] => return guard::run(),
        ["hold", "ephemeral"] => hold(Data::Ephemeral),
        ["hold", folder] => hold(Data::Kept(PathBuf::from(folder))),
        ["fetch", cache] => fetch::fetch_into(Path::new(cache)).map(|_| ()).map_err(Into::into),
        _ => Err("what?".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stdout(), "failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn hold(data: Data) -> Result<(), Box<dyn Error>> {
    let durable = data != Data::Ephemeral;
    let options = Options { durable, ..Options::new(data, Guard::subcommand("guard")?) };
    let server = PrivatePostgres::start(options)?;
    let mut out = io::stdout();
    writeln!(out, "{}", server.guard_pid())?;
    writeln!(out, "{}", server.server_pid())?;
    writeln!(out, "{}", server.socket_dir().display())?;
    writeln!(out, "{}", server.url("postgres"))?;
    io::stdin().read_to_end(&mut Vec::new())?;
    server.stop()?;
    Ok(())
}
