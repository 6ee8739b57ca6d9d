//! Contact sheets to look at: `cargo run -p likebut-scenes --example sheet -- kinds|cues|places|moves|random out.ppm [cell width] [seed or first item]`.

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let (what, out) = (args.get(1).map_or("random", |s| s), args.get(2).map_or("sheet.ppm", |s| s));
    let w: u32 = args.get(3).and_then(|s| s.parse().ok()).unwrap_or(224);
    let h = if w == 112 { 112 } else { w * 3 / 4 };
    let mut rng = scenes::Rng::new(args.get(4).and_then(|s| s.parse().ok()).unwrap_or(5));
    let mut shots: Vec<(scenes::Scene, f32, String)> = Vec::new();
    use scenes::*;
    let plain = |kind, colour, texture| Key {
        subject: Thing { kind, colour, texture, size: Size::Big },
        count: 1,
        companion: None,
        place: Place::Meadow,
        light: Light::Day,
        weather: Weather::Clear,
        concept: None,
        action: None,
    };
    match what {
        "kinds" => {
            for (i, kind) in Kind::ALL.iter().enumerate() {
                for texture in Texture::ALL {
                    let mut key = plain(*kind, Colour::ALL[(i * 2 + *texture as usize * 4) % 9], *texture);
                    key.place = Place::ALL[i % 6];
                    shots.push((Scene::of(key, &mut rng), 0.0, format!("{} {}", texture.word(), kind.word())));
                }
            }
        }
        "cues" => {
            for (i, cue) in Cue::ALL.iter().enumerate() {
                let mut key = plain(Kind::ALL[i % 16], Colour::ALL[i % 9], Texture::Plain);
                key.concept = Some(Concept::ALL[i / 7]);
                key.place = Place::ALL[(i * 5) % 6];
                let mut scene = Scene::of(key, &mut rng);
                scene.cues = vec![*cue];
                shots.push((scene, 0.0, cue.word().into()));
            }
        }
        "places" => {
            for place in Place::ALL {
                for light in Light::ALL {
                    for weather in Weather::ALL {
                        let mut key = plain(Kind::Ball, Colour::Blue, Texture::Striped);
                        (key.place, key.light, key.weather) = (*place, *light, *weather);
                        shots.push((
                            Scene::of(key, &mut rng),
                            0.0,
                            format!("{} {} {}", place.word(), light.word(), weather.word()),
                        ));
                    }
                }
            }
        }
        "moves" => {
            for motion in Motion::ALL {
                for camera in Camera::ALL {
                    let mut key = plain(*rng.pick(Kind::ALL), *rng.pick(Colour::ALL), Texture::Plain);
                    key.action = Some((*motion, *camera));
                    let scene = Scene::of(key, &mut rng);
                    for i in domain::Sampling::Uniform(2).indices(scene.frames(), 12.0) {
                        shots.push((scene.clone(), i as f32 / 12.0, format!("{} {}", motion.word(), camera.word())));
                    }
                }
            }
        }
        _ => {
            let set = build(&World::demo());
            let skip = args.get(4).and_then(|s| s.parse().ok()).unwrap_or(0);
            for item in set.items.iter().skip(skip).step_by(5).take(60) {
                shots.push((item.scene.clone(), 1.0, item.caption.clone()));
            }
            for t in set.triplets.iter().take(60) {
                println!(
                    "{} --[{}]--> {} ({})",
                    t.reference,
                    t.text,
                    t.targets.join(" "),
                    t.slice.as_deref().unwrap_or("")
                );
            }
        }
    }
    let across = 6;
    let down = (shots.len() as u32).div_ceil(across);
    let mut sheet = vec![0u8; (across * w * down * h * 3) as usize];
    let start = std::time::Instant::now();
    for (i, (scene, t, words)) in shots.iter().enumerate() {
        println!("{i:3} {words}");
        let frame = draw(scene, *t, w, h);
        let (cx, cy) = (i as u32 % across * w, i as u32 / across * h);
        for y in 0..h {
            let to = (((cy + y) * across * w + cx) * 3) as usize;
            let from = (y * w * 3) as usize;
            sheet[to..to + w as usize * 3].copy_from_slice(&frame.rgb[from..from + w as usize * 3]);
        }
    }
    println!("{:.2} ms each", start.elapsed().as_secs_f64() * 1e3 / shots.len() as f64);
    let mut bytes = format!("P6 {} {} 255\n", across * w, down * h).into_bytes();
    bytes.extend(sheet);
    std::fs::write(out, bytes).expect("the sheet can be written");
}
