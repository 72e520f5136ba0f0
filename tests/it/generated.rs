//! Files made from the code are up to date.

use std::process::Command;

use crate::support::{program, root};

#[test]
fn generated_files_are_up_to_date() {
    let output = Command::new(program()).args(["generate", "--check"]).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn an_outdated_file_is_code_7_and_elsewhere_it_says_so() {
    let copy = tempfile::tempdir().unwrap();
    let output = Command::new(program()).arg("generate").current_dir(copy.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    for folder in ["tools", "schemas"] {
        std::fs::create_dir(copy.path().join(folder)).unwrap();
    }
    for page in ["README.md", "examples/guide/formulas.md"] {
        let to = copy.path().join(page);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(root().join(page), to).unwrap();
    }
    let check =
        || Command::new(program()).args(["generate", "--check"]).current_dir(copy.path()).output().unwrap();
    let stale = check();
    assert_eq!(stale.status.code(), Some(7));
    assert!(String::from_utf8_lossy(&stale.stderr).contains("list_records.json"));
    assert!(Command::new(program()).arg("generate").current_dir(copy.path()).status().unwrap().success());
    assert!(check().status.success());
}
