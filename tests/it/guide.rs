//! The guide: every command on its pages works as it stands there.

use std::process::Command;

use crate::support::{program, root};

#[test]
fn the_tour_of_careful_writes_prints_what_the_readme_shows() {
    let folder = std::path::Path::new(program()).parent().unwrap().to_owned();
    let path = std::env::var_os("PATH").unwrap();
    let path = std::env::join_paths([folder].into_iter().chain(std::env::split_paths(&path)));
    let home = tempfile::tempdir().unwrap();
    let tour = root().join("examples/careful/tour.py");
    let done = Command::new("python3")
        .arg(tour)
        .env("PATH", path.unwrap())
        .env("HOME", home.path())
        .output()
        .unwrap();
    let (said, errors) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{said}\n{errors}");
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.contains(&format!("```text\n{said}```")), "{said}");
}

#[test]
fn the_commands_of_the_guide_work() {
    let mut run = 0;
    for page in std::fs::read_dir(root().join("examples/guide")).unwrap() {
        let text = std::fs::read_to_string(page.unwrap().path()).unwrap();
        for block in text.split("```sh\n").skip(1) {
            for line in block.split("```").next().unwrap().lines() {
                let home = tempfile::tempdir().unwrap();
                let folder = std::path::Path::new(program()).parent().unwrap();
                let path = std::env::join_paths(
                    [folder.to_owned()]
                        .into_iter()
                        .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
                );
                let output = Command::new("sh")
                    .args(["-c", line])
                    .env("PATH", path.unwrap())
                    .env("HOME", home.path())
                    .current_dir(root())
                    .output()
                    .unwrap();
                assert!(output.status.success(), "{line}\n{}", String::from_utf8_lossy(&output.stderr));
                assert!(!output.stdout.is_empty(), "{line} says nothing");
                run += 1;
            }
        }
    }
    assert!(run >= 6, "only {run} commands were found");
}
