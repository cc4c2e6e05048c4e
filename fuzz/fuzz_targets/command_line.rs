//! Whatever is typed is understood or refused in one line, and never panics.
#![no_main]

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use libfuzzer_sys::fuzz_target;
use scanner::cli::{Request, parse};
use scanner::config::Config;

fuzz_target!(|bytes: &[u8]| {
    let words: Vec<OsString> =
        bytes.split(|byte| *byte == b'\n').map(|word| OsString::from_vec(word.to_vec())).collect();
    match parse(words) {
        Ok(Request::Scan(arguments)) => {
            let mut read = |_: scanner::config::Input<'_>| Ok(b"198.18.0.1\n".to_vec());
            if let Err(why) = Config::build(&arguments, &mut read) {
                assert!(!why.to_string().contains('\n'), "{why}");
            }
        }
        Ok(_) => {}
        Err(why) => assert!(!why.to_string().contains('\n'), "{why}"),
    }
});
