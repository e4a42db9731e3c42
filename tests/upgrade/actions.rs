//! What clients do by themselves: heads, uploads and frames that they send in pieces, with time between the pieces, so that
//! at any moment some of them are half way; and slow reading.

use crate::client::{Client, Fate, World};
use crate::kind::{Kind, UPLOAD_BYTE, UPLOAD_BYTES};
use gripwire_harness::frames::{CONTINUE, TEXT, client_frame};
use std::time::Duration;

impl Client {
    /// Takes the next step of its kind, and says when the one after is due, if there are more.
    pub fn act(&mut self, world: &mut World, is_pausing: bool) -> Result<(Fate, Option<Duration>), String> {
        // A step that has begun is completed in a pause too.
        let may_begin = self.asked == self.answered && !is_pausing;
        let mut fate = Fate::GoesOn;
        let pause = match self.kind {
            Kind::Slow if is_pausing => {
                fate = self.receive(world, usize::MAX)?;
                QUICKLY
            }
            Kind::Slow => {
                fate = self.receive(world, SLOW_BYTES)?;
                SLOWLY
            }
            Kind::Talk | Kind::Passing if !self.was_open => SLOWLY,
            Kind::Talk | Kind::Passing if self.step == 0 && may_begin => self.begin_to_say()?,
            Kind::Talk | Kind::Passing if self.step == 1 => self.end_saying()?,
            Kind::Idle if self.step == 0 && may_begin => self.begin_to_ask()?,
            Kind::Idle if self.step == 1 => self.end_asking()?,
            Kind::Upload if self.step > 0 || may_begin => self.upload()?,
            Kind::Talk | Kind::Passing | Kind::Idle | Kind::Upload => SLOWLY,
            _ => return Ok((Fate::GoesOn, None)),
        };
        Ok((fate, Some(pause)))
    }

    fn begin_to_say(&mut self) -> Result<Duration, String> {
        let (first, _) = self.halves();
        self.step = 1;
        self.send(&first)?;
        Ok(BETWEEN_HALVES)
    }

    fn end_saying(&mut self) -> Result<Duration, String> {
        let (_, second) = self.halves();
        (self.step, self.asked) = (0, self.asked + 1);
        self.send(&second)?;
        Ok(self.leisure())
    }

    /// What it says next, in two parts: a frame that is cut, a message of two frames, or nothing and a whole frame.
    fn halves(&self) -> (Vec<u8>, Vec<u8>) {
        let number = self.answered + 1;
        let text = format!("say {}", self.kind.saying(self, number)).into_bytes();
        let middle = text.len() / 2;
        match number % 3 {
            0 => {
                let mut frame = client_frame(TEXT, true, &text);
                let second = frame.split_off(middle);
                (frame, second)
            }
            1 => (client_frame(TEXT, false, &text[..middle]), client_frame(CONTINUE, true, &text[middle..])),
            _ => (Vec::new(), client_frame(TEXT, true, &text)),
        }
    }

    fn begin_to_ask(&mut self) -> Result<Duration, String> {
        let request = self.kind.request(self);
        self.step = 1;
        self.send(&request[..request.len() / 2])?;
        Ok(self.leisure())
    }

    fn end_asking(&mut self) -> Result<Duration, String> {
        let request = self.kind.request(self);
        (self.step, self.asked) = (0, self.asked + 1);
        self.send(&request[request.len() / 2..])?;
        Ok(BETWEEN_HALVES)
    }

    fn upload(&mut self) -> Result<Duration, String> {
        if self.step == 0 {
            self.asked += 1;
            let head = self.kind.request(self);
            self.send(&head)?;
        }
        self.step = (self.step + 1) % UPLOAD_PIECES;
        self.send(&[UPLOAD_BYTE; UPLOAD_BYTES / UPLOAD_PIECES as usize])?;
        Ok(BETWEEN_HALVES)
    }

    /// The time between two things that it does.
    fn leisure(&self) -> Duration {
        Duration::from_millis(1000 + (self.number * 37 + self.answered as usize * 501) as u64 % 2000)
    }
}

const BETWEEN_HALVES: Duration = Duration::from_millis(250);
const SLOWLY: Duration = Duration::from_millis(100);
const QUICKLY: Duration = Duration::from_millis(2);
/// What a slow client reads at once: 20 kB in a second.
const SLOW_BYTES: usize = 2000;
const UPLOAD_PIECES: u64 = 8;
