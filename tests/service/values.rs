//! Plain values come back as they were, and results are split.

use std::io;
use std::path::{Path, PathBuf};

use unix_ipc::CallError;

use crate::shapes::{Failure, Record, ShapesClient, for_child_and_thread};

fn record() -> Record {
    let inner = Record { id: 7, blob: vec![1], ..Record::default() };
    Record {
        id: u64::MAX,
        blob: vec![0; 300],
        parts: vec![None, Some(vec![]), Some(vec![9])],
        inner: Some(inner.into()),
    }
}

#[test]
fn every_argument_comes_back_as_it_was() {
    for_child_and_thread(|client| {
        client.nothing().unwrap();
        client.unit().unwrap();
        let texts = client.texts("lent", Some("ünïcödé"), String::new()).unwrap();
        assert_eq!(texts, ("lent".to_owned(), Some("ünïcödé".to_owned()), String::new()));
        assert_eq!(client.texts("", None, "x".repeat(100_000)).unwrap().2.len(), 100_000);
        let paths = client.paths(Path::new("/a"), None, PathBuf::from("b/c")).unwrap();
        assert_eq!(paths, (PathBuf::from("/a"), None, PathBuf::from("b/c")));
        let slices = client.slices(&[1, 2], Some(&["a".to_owned()]), &[record(), Record::default()]).unwrap();
        assert_eq!(slices, (vec![1, 2], 1, vec![record(), Record::default()]));
        assert_eq!(client.slices(&[], None, &[]).unwrap(), (vec![], usize::MAX, vec![]));
        let references = client.references(&3, &record(), &Some("x".to_owned())).unwrap();
        assert_eq!(references, (3, record(), Some("x".to_owned())));
        assert_eq!(client.named("four", Some(&[0; 5])).unwrap(), 9);
        assert_eq!(client.named("", None).unwrap(), 0);
    });
}

#[test]
fn more_arguments_than_serdes_tuples_have() {
    for_child_and_thread(|client| {
        let text = client
            .many(
                1,
                2,
                3,
                4,
                -5,
                -6,
                -7,
                -8,
                true,
                'j',
                0.5,
                -0.5,
                "m",
                &[1, 2],
                (),
                (3, 4),
                [5, 6, 7],
                None,
                "s".to_owned(),
                1 << 100,
            )
            .unwrap();
        let expected =
            format!("1 2 3 4 -5 -6 -7 -8 true j 0.5 -0.5 m [1, 2] (3, 4) [5, 6, 7] None s {}", 1u128 << 100);
        assert_eq!(text, expected);
    });
}

#[test]
fn a_result_is_split_into_value_and_service_error() {
    for_child_and_thread(|client| {
        assert_eq!(client.result(Some(1)).unwrap(), 1);
        assert!(matches!(client.result(None), Err(CallError::Service(Failure::Empty))));
        assert_eq!(client.qualified(Some(2)).unwrap(), (2, 2));
        assert_eq!(client.qualified(None).unwrap_err().service().as_deref(), Some("empty"));
        client.aliased(0).unwrap();
        assert_eq!(client.aliased(-3).unwrap_err().service(), Some(Failure::Code(-3)));
        assert_eq!(client.optional_result(None).unwrap(), None);
        assert_eq!(client.optional_result(Some(0)).unwrap(), Some(Err(Failure::Empty)));
        assert_eq!(client.optional_result(Some(4)).unwrap(), Some(Ok(4)));
        assert_eq!(client.begin_result(Some(5)).unwrap().wait().unwrap(), 5);
    });
}

#[test]
fn an_io_error_keeps_its_code_or_its_kind_and_text() {
    for_child_and_thread(|client| {
        let error = |kind| client.fail(kind).unwrap_err().service().unwrap();
        client.fail(0).unwrap();
        assert_eq!(error(1).raw_os_error(), Some(28));
        assert_eq!(error(2).kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(error(2).to_string(), "a second one");
        assert_eq!(
            (error(3).kind(), error(3).to_string()),
            (io::ErrorKind::Other, "something else".to_owned())
        );
        let missing = client.open(Path::new("/nonexistent")).map(drop).unwrap_err().service().unwrap();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    });
}

#[test]
fn one_way_calls_keep_their_order_with_the_others() {
    for_child_and_thread(|client| {
        let mut expected = Vec::new();
        for number in 0..300 {
            expected.push(number.to_string());
            client.note(&number.to_string()).unwrap();
            if number % 50 == 0 {
                assert_eq!(client.notes().unwrap(), expected);
            }
        }
        expected.push("x".repeat(200_000));
        client.note(expected.last().unwrap()).unwrap();
        assert_eq!(client.notes().unwrap(), expected);
    });
}

#[test]
fn raw_names_conditions_and_defaults_are_called_as_written() {
    for_child_and_thread(|client: &ShapesClient| {
        assert_eq!(client.r#type(1, "x").unwrap(), "1x");
        assert_eq!(client.begin_type(2, "y").unwrap().wait().unwrap(), "2y");
        assert_eq!(client.present().unwrap(), 1);
        #[expect(deprecated, reason = "a deprecated method still works")]
        let old = client.old().unwrap();
        assert_eq!(old, 2);
        assert_eq!(client.defaulted(5).unwrap(), "echo: 5");
    });
}
