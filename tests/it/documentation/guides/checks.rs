//! A page that does not do what it says is found out, and named with its line.

use super::{page::Page, reader::Reader};

/// What is wrong with a page.
fn wrong_with(text: &str) -> String {
    let followed = Page::parse("page.md", text).and_then(|page| Reader::new().follow(&page));
    followed.expect_err("it is wrong")
}

fn follow(text: &str) {
    let page = Page::parse("page.md", text).unwrap();
    Reader::new().follow(&page).unwrap();
}

#[test]
fn what_a_page_shows_is_compared_with_what_was_printed() {
    follow(
        "```sh\nn=1\necho a-$n-b\n# → a-…-b\n```\n\n```sh\nseq 5; echo $n\n```\n\n```text\n1\n…\n5\n1\n```\n",
    );
    follow("```sh\necho '{\"a\":1,\"at\":12}'\n```\n```json\n{ \"a\": 1,\n  \"at\": … }\n```\n");
    for (page, line) in [
        ("```sh\necho a\n# → b\n```\n", 1),
        ("```sh\necho a\n```\n", 1),
        ("\n\n```sh\ntrue\n```\n\n```text\na\n```\n", 3),
        ("```sh\nseq 5\n```\n\n```text\n1\n…\n4\n```\n", 1),
        (
            "```sh\necho '{\"a\":1}'\n```\n```json\n{\"a\": 2}\n```\n",
            1,
        ),
        // Too far away to be what it prints.
        ("```sh\necho a\n```\nIt is said.\n\n```text\na\n```\n", 1),
    ] {
        let wrong = wrong_with(page);
        assert!(
            wrong.starts_with(&format!("page.md:{line}: the page shows")),
            "{wrong}"
        );
    }
}

#[test]
fn a_command_that_fails_is_named() {
    let wrong = wrong_with("```sh\ntrue\n\nfalse\necho not here\n# → not here\n```\n");
    assert!(wrong.starts_with("page.md:4: exit code 1"), "{wrong}");
    let wrong = wrong_with("```sh\nfalse | cat\n```\n");
    assert!(wrong.starts_with("page.md:2: exit code 1"), "{wrong}");
    let wrong = wrong_with(
        "```sh\n# in a terminal of its own\necho a; no-such-program\n```\n```text\nb\n```\n",
    );
    assert!(
        wrong.starts_with("page.md:3: exit code 127, after it printed:\na\n"),
        "{wrong}"
    );
}

#[test]
fn what_goes_on_is_waited_for_until_it_shows_what_the_page_shows() {
    follow(
        "```sh\nmkfifo pipe\n```\n```sh\n# in a terminal of its own\necho begins; cat pipe\n```\n```text\nbegins\n```\n\
         ```sh\necho comes > pipe\n```\n```text\n# in that terminal\ncomes\n```\n",
    );
    let wrong = wrong_with("```text\n# in that terminal\na\n```\n");
    assert!(wrong.starts_with("page.md:1: there is no such"), "{wrong}");
}

#[test]
fn a_file_is_saved_and_has_to_be_used() {
    follow(
        "```python\n# a/b.py\nprint(1)\n```\n\n```sh\ncat a/b.py\n# → # a/b.py\n# → print(1)\n```\n",
    );
    let wrong = wrong_with("```python\n# a.py\n```\n");
    assert!(
        wrong.starts_with("page.md:1: no command after it"),
        "{wrong}"
    );
    let wrong = wrong_with("```js\nconst n = 1;\n```\n");
    assert!(wrong.starts_with("page.md:1: its first line"), "{wrong}");
}

#[test]
fn no_command_hides_from_the_test() {
    follow("```console\n$ docker compose up \\\n    --wait\n$ A=1 cargo build\n```\n");
    for page in [
        "```console\n$ docker ps\n$ ltm list\n```\n",
        "```console\nltm list\n```\n",
        "```console\n$ make everything\n```\n",
        "```console\n$ docker build -f deploy/Dockerfiles .\n```\n",
        "```\nltm list\n```\n",
        "```bash\nltm list\n```\n",
        "- so\n\n  ```sh\n  ltm list\n  ```\n",
        "```sh\nltm list\n",
    ] {
        let wrong = wrong_with(page);
        assert!(wrong.starts_with("page.md:"), "{wrong}");
    }
}
