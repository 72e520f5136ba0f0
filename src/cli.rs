//! The command line.

mod args;
mod audit;
mod base;
mod connect;
mod console;
mod demo;
mod disconnect;
mod doctor;
mod formula;
mod generate;
mod install;
mod member;
mod plan;
mod policy;
mod progress;
mod read_file;
mod serve;
mod sync;
mod token;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};

/// Runs the program as its arguments say.
pub fn run() -> ExitCode {
    let args = Args::parse();
    let threads = match args.command {
        // A pipe between two streams needs no second thread.
        Command::Serve(ref serve) if serve.is_relay() => 0,
        Command::ReadFile { .. } => 0,
        _ => std::thread::available_parallelism().map_or(2, |n| n.get()),
    };
    let runtime = if threads == 0 {
        tokio::runtime::Builder::new_current_thread().enable_all().build()
    } else {
        tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()
    };
    let result = match runtime {
        Ok(runtime) => {
            let result = runtime.block_on(dispatch(args));
            // A blocked read of a terminal must not hold up the end.
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tablewright: {error:#}");
            crate::exit::code_of(&error)
        }
    }
}

async fn dispatch(args: Args) -> anyhow::Result<()> {
    let Args { global, command } = args;
    match command {
        Command::Serve(serve) => serve.run(&global).await,
        Command::Demo(options) => demo::run(&global, options).await,
        Command::Base(command) => base::run(&global, command).await,
        Command::Connect(options) => connect::run(&global, options).await,
        Command::Disconnect { name, forget } => disconnect::run(&global, name, forget).await,
        Command::Token(command) => token::run(&global, command).await,
        Command::Workspace(command) => workspace::run(&global, command).await,
        Command::Member(command) => member::run(&global, command).await,
        Command::Plan(command) => plan::run(&global, command).await,
        Command::Policy(command) => policy::run(&global, command).await,
        Command::Console { open } => console::run(&global, open).await,
        Command::Audit(command) => audit::run(&global, command).await,
        Command::Formula(command) => formula::run(&global, command).await,
        Command::Sync(options) => sync::run(&global, options).await,
        Command::Install(options) => install::run(&global, options),
        Command::Doctor => doctor::run(&global).await,
        Command::Generate { check } => generate::run(check),
        Command::ReadFile { format, path } => read_file::run(&format, &path),
        Command::Owner => {
            let loaded = global.load(Default::default())?;
            let directory = crate::app::data_dir(&loaded.config)?;
            crate::owner::background::run(loaded.config, &directory).await
        }
    }
}
