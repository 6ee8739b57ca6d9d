//! Small vocabularies made here, so that every reading is tested without anybody's file.

use super::*;

#[test]
fn known_words_are_whole_and_unknown_ones_are_spelt() {
    let vocab = vocab_from_texts(["make the ball red", "the red cat"].into_iter(), 100);
    let words = Tokenizer::word_piece(&vocab, 8).unwrap();
    let piece = |i: i32| vocab.lines().nth(i as usize).unwrap();
    let read = |t: &str| words.ids(t).into_iter().map(piece).collect::<Vec<_>>();
    assert_eq!(read("Make the BALL réd"), ["[CLS]", "make", "the", "ball", "red", "[SEP]"]);
    assert_eq!(read("toy"), ["[CLS]", "t", "##o", "##y", "[SEP]"]);
    assert_eq!(read(""), ["[CLS]", "[SEP]"]);
    assert_eq!(read("☃"), ["[CLS]", "[UNK]", "[SEP]"]);
    assert_eq!(
        words.encode("the the the the the the the the the"),
        Encoded { ids: words.ids("the the the the the the"), cut: 3 }
    );
    assert_eq!(words.pieces(), vocab.lines().count());
    assert!(Tokenizer::word_piece("the\nred\n", 8).is_err());
}

const MERGES_OF_FOUR: &str = "#version: 0.2\nt h\nth e</w>\nr e\nre d</w>\n";

fn clip(longest: usize) -> Tokenizer {
    let reading = Reading::Clip { longest, cleaning: Cleaning::OpenClip };
    Tokenizer::new(&reading, MERGES_OF_FOUR.as_bytes()).unwrap()
}

#[test]
fn bytes_are_merged_in_the_order_of_the_list() {
    let words = clip(77);
    assert_eq!(words.pieces(), 512 + 4 + 2);
    let (start, end, the, red) = (516, 517, 513, 515);
    assert_eq!(words.ids("The  RED"), [start, the, red, end]);
    // r e → "re", then d is a word's last byte.
    assert_eq!(words.ids("re"), [start, i32::from(b'r' - b'!'), 256 + i32::from(b'e' - b'!'), end]);
    assert_eq!(words.ids(""), [start, end]);
    // What a user types is never a special piece.
    assert!(!words.ids("the <|endoftext|> red")[1..7].contains(&end));
    let long = "the ".repeat(100);
    assert_eq!(words.encode(&long), Encoded { ids: words.ids(&"the ".repeat(75)), cut: 25 });
    assert_eq!(words.ids(&long).len(), 77);
    assert_eq!(words.encode(&"x".repeat(1 << 20)).ids.len(), 77);
}

#[test]
fn pseudo_words_have_a_place_of_their_own() {
    let words = clip(10);
    let prompt = |a: &str, k, b: &str| words.prompt(a, k, b).unwrap();
    let p = prompt("the", 1, "red");
    assert_eq!((p.text.ids.as_slice(), p.slots), (&[516, 513, 0, 515, 517][..], 2..3));
    let p = prompt("the the", 2, &"red ".repeat(10));
    assert_eq!((p.text.ids.len(), p.text.cut, p.slots), (10, 6, 3..5));
    let p = prompt(&"the ".repeat(20), 3, "red");
    assert_eq!((p.text.ids.len(), p.text.cut, p.slots), (10, 16, 6..9));
    assert!(words.prompt("the", 9, "red").is_none());
}

#[test]
fn a_file_that_is_no_vocabulary_is_refused_with_its_line() {
    let reading = Reading::Clip { longest: 77, cleaning: Cleaning::Transformers };
    for (bad, says) in [
        (&b"t h\nthe\n"[..], "line 2"),
        (b"t h\nt h\n", "same piece"),
        (b"t q\nzz y\n", "merges.txt"),
        (&[0xff, 0xfe], "UTF-8"),
    ] {
        let error = Tokenizer::new(&reading, bad).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    let json = Reading::Json { longest: 64, pad: 0, lowercase: true };
    for bad in [&b""[..], b"{}", b"{\"model\":{}}", b"[1]", &[0xff]] {
        assert!(Tokenizer::new(&json, bad).is_err());
    }
}

#[test]
fn every_text_of_a_json_tokenizer_has_one_length() {
    let file = br#"{"version":"1.0","truncation":null,"padding":null,"added_tokens":[
        {"id":1,"content":"<eos>","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}],
        "normalizer":null,"pre_tokenizer":{"type":"Whitespace"},"decoder":null,
        "post_processor":{"type":"TemplateProcessing","single":[{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"<eos>","type_id":0}}],
        "pair":[],"special_tokens":{"<eos>":{"id":"<eos>","ids":[1],"tokens":["<eos>"]}}},
        "model":{"type":"WordLevel","vocab":{"<pad>":0,"<eos>":1,"<unk>":2,"the":3,"red":4},"unk_token":"<unk>"}}"#;
    let words = Tokenizer::new(&Reading::Json { longest: 6, pad: 0, lowercase: true }, file).unwrap();
    assert_eq!(words.ids("The RED cat"), [3, 4, 2, 1]);
    assert_eq!(words.encode("the the the the the the the"), Encoded { ids: vec![3, 3, 3, 3, 3, 1], cut: 2 });
    assert!(!words.ids("<eos> the")[..1].contains(&1));
    let batch = words.batch(&["the", "red cat the"], &crate::cpu());
    assert_eq!(batch.ids.dims(), [2, 6]);
    assert_eq!(batch.lens, [2, 4]);
    assert!(words.prompt("the", 1, "red").is_none());
}
