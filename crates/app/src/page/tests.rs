//! What must be true of every page.

use super::*;

fn picture(seed: u8) -> Picture {
    Picture {
        // A one-pixel GIF is the smallest picture that a browser shows.
        bytes: [
            b"GIF89a\x01\0\x01\0\x80\0\0".as_slice(),
            &[seed, 90, 160, 0, 0, 0],
            b",\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;",
        ]
        .concat(),
        mime: "image/gif",
        alt: format!("a drawn scene, {seed}"),
        name: format!("{seed:04}.jpg"),
        place: format!("scenes/{seed:04}.jpg"),
    }
}

fn model() -> PageModel {
    let interval = |value: f64| Interval { value, low: value - 0.04, high: value + 0.04 };
    let group = |name: &str, by: f64| MarksGroup {
        name: name.to_owned(),
        methods: ["imagine", "sum", "words", "picture"]
            .iter()
            .enumerate()
            .map(|(i, m)| ((*m).to_owned(), (0..3).map(|k| interval(by - 0.17 * i as f64 + 0.07 * k as f64)).collect()))
            .collect(),
    };
    let question = |seed: u8, words: &str, kind: &str, right: usize| Question {
        reference: picture(seed),
        words: words.to_owned(),
        not: (seed == 3).then(|| "people".to_owned()),
        kind: Some(kind.to_owned()),
        hits: (0..6)
            .map(|i| Answer {
                rank: i + 1,
                picture: picture(seed * 10 + i as u8),
                score: 0.71 - 0.05 * i as f32,
                right: Some(i + 1 == right),
            })
            .collect(),
        found_at: Some(right),
    };
    PageModel {
        title: "Like this, but …".to_owned(),
        lead: "Each question is a picture or a clip and a few words.".to_owned(),
        marks: Some(MarksTable {
            caption: "Share of questions".to_owned(),
            columns: ["R@1", "R@5", "R@10"].map(str::to_owned).to_vec(),
            groups: vec![group("explicit · 500 questions", 0.72), group("implied · 500 questions", 0.61)],
        }),
        questions: vec![
            question(1, "make the ball red", "explicit", 1),
            question(2, "as a birthday party", "implied", 3),
            question(3, "at night, with a bonfire", "implied", 9),
        ],
        maps: Some(Maps {
            facts: vec![("confidence".to_owned(), "0.52 <of> 1".to_owned())],
            frames: picture(7),
            used: vec![Used { name: "picture prototype 3".to_owned(), weight: 0.25, map: picture(8) }],
        }),
        next: vec![Step { what: "Put your own files in".to_owned(), command: "likebut add ~/Pictures".to_owned() }],
        notes: vec!["The reference is left out of the ranking.".to_owned()],
    }
}

#[test]
fn nothing_is_fetched_and_only_our_script_runs() {
    let page = model().render();
    for outside in ["http://", "https://", "@import", "url(", "<link", " style=\"", "onclick"] {
        assert!(!page.contains(outside), "{outside}");
    }
    for (open, close, directive) in [("<script>", "</script>", "script-src"), ("<style>", "</style>", "style-src")] {
        for piece in page.split(open).skip(1) {
            let body = piece.split_once(close).unwrap().0;
            let hash = format!("'sha256-{}'", base64(&domain::Digest::of(body.as_bytes()).0));
            let allowed = page.split_once(directive).unwrap().1.split_once(';').unwrap().0;
            assert!(allowed.contains(&hash), "{directive} does not allow what the page holds");
        }
    }
}

#[test]
fn words_from_outside_stay_words() {
    let evil = "\"><script>alert('1')</script>{{script}}&";
    let mut model = model();
    model.title = evil.to_owned();
    model.lead = evil.to_owned();
    model.notes = vec![evil.to_owned()];
    model.next[0].command = evil.to_owned();
    let q = &mut model.questions[0];
    (q.words, q.not, q.kind) = (evil.to_owned(), Some(evil.to_owned()), Some(evil.to_owned()));
    (q.reference.alt, q.reference.name) = (evil.to_owned(), evil.to_owned());
    q.reference.place = evil.to_owned();
    let marks = model.marks.as_mut().unwrap();
    (marks.caption, marks.columns[0]) = (evil.to_owned(), evil.to_owned());
    (marks.groups[0].name, marks.groups[0].methods[0].0) = (evil.to_owned(), evil.to_owned());
    let page = model.render();
    assert_eq!(page.matches("<script>").count(), 1);
    assert!(!page.contains("alert('1')"));
    assert_eq!(page.matches("\"use strict\"").count(), 1, "a hole in the words was filled");
}

#[test]
fn every_picture_has_words_and_every_question_its_state() {
    let page = model().render();
    assert_eq!(page.matches("<img ").count(), page.matches(" alt=\"a drawn scene").count());
    assert!(page.contains("right one at 1") && page.contains("missed: right one at 9"));
    assert_eq!(page.matches("✓ right").count(), 2);

    let mut late = model();
    late.questions[2].hits.push(Answer { rank: 9, picture: picture(1), score: 0.1, right: Some(true) });
    let page = late.render();
    assert_eq!(page.matches("✓ right").count(), 3, "the right one is shown");
    assert!(page.contains("missed: right one at 9") && page.contains(">9</span>"), "with the place where it stood");
    for landmark in ["<main", "<header", "<nav", "<footer", "lang=\"en\"", "<h1>", "class=\"skip\""] {
        assert!(page.contains(landmark), "{landmark}");
    }
    assert!(!page.contains("{{"), "a hole was left");
}

#[test]
fn an_empty_page_is_a_page() {
    let page = PageModel::default().render();
    assert!(page.ends_with("</html>\n") && !page.contains("<section"));
}

#[test]
fn a_clip_is_muted_and_can_be_stopped_without_the_script() {
    let mut model = model();
    model.questions[0].reference.mime = "video/mp4";
    let page = model.render();
    let video = page.split_once("<video ").unwrap().1.split_once('>').unwrap().0;
    for word in ["muted", "loop", "playsinline", "controls", "data:video/mp4;base64,", "aria-label="] {
        assert!(video.contains(word), "{word}");
    }
    assert!(!video.contains("autoplay"), "the script decides, since it knows who prefers stillness");
}

/// Contrast as WCAG 2.2 defines it: at least 4.5 for text.
#[test]
fn text_can_be_read_on_every_ground_in_both_themes() {
    let (light, dark) = TOKENS.split_once("@media").unwrap();
    for theme in [light, dark] {
        let luminance = |name: &str| {
            let hex = theme.split_once(&format!("{name}: #")).unwrap_or_else(|| panic!("{name}")).1;
            let channel = |i: usize| {
                let c = f64::from(u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()) / 255.0;
                if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * channel(0) + 0.7152 * channel(1) + 0.0722 * channel(2)
        };
        let grounds = ["--paper", "--surface", "--well"];
        let texts = ["--ink", "--ink-soft", "--accent"];
        let pairs = grounds.iter().flat_map(|g| texts.iter().map(move |t| (*t, *g)));
        for (text, ground) in pairs.chain([
            ("--good", "--good-wash"),
            ("--good", "--surface"),
            ("--accent", "--accent-wash"),
            ("--paper", "--ink"),
        ]) {
            let (a, b) = (luminance(text), luminance(ground));
            let contrast = (a.max(b) + 0.05) / (a.min(b) + 0.05);
            assert!(contrast >= 4.5, "{text} on {ground}: {contrast:.2}");
        }
    }
}

#[test]
fn the_style_names_no_colour_of_its_own() {
    for line in STYLE.lines().filter(|l| !l.contains("scope") && l.contains(':')) {
        assert!(!line.contains('#') && !line.contains("rgb(") && !line.contains("hsl("), "{line}");
    }
    let own = STYLE.len() + TOKENS.len() + SCRIPT.len() + INDEX.len();
    assert!(own < 40_000, "{own} bytes before any picture");
}
