//! Arithmetic functions.

use super::Call;
use crate::dialect;
use crate::fault::Fault;
use crate::function::Function;
use crate::value::Value;

pub(super) fn call<'a>(function: Function, call: &Call<'a, '_>) -> Result<Value<'a>, Fault> {
    let value = call.number(0)?;
    let second = |otherwise: f64| if call.given(1) { call.number(1) } else { Ok(otherwise) };
    Ok(Value::Number(match function {
        Function::Abs => value.abs(),
        Function::Sqrt => value.sqrt(),
        Function::Exp => value.exp(),
        Function::Int => value.floor(),
        Function::Power => value.powf(second(1.0)?),
        Function::Mod => dialect::modulo(value, second(1.0)?),
        Function::Log => match second(10.0)? {
            10.0 => value.log10(),
            2.0 => value.log2(),
            base => value.ln() / base.ln(),
        },
        Function::Ceiling => multiple(value, second(1.0)?, f64::ceil),
        Function::Floor => multiple(value, second(1.0)?, f64::floor),
        Function::Even => away(value / 2.0) * 2.0,
        Function::Odd => odd(value),
        Function::Round => round(value, second(0.0)?, |scaled| (scaled + 0.5).floor()),
        Function::RoundUp if dialect::ROUND_UP_IS_AWAY_FROM_ZERO => round(value, second(0.0)?, away),
        Function::RoundUp => round(value, second(0.0)?, f64::ceil),
        Function::RoundDown if dialect::ROUND_UP_IS_AWAY_FROM_ZERO => round(value, second(0.0)?, f64::trunc),
        _ => round(value, second(0.0)?, f64::floor),
    }))
}

fn away(value: f64) -> f64 {
    if value < 0.0 { value.floor() } else { value.ceil() }
}

fn odd(value: f64) -> f64 {
    // 0 lies between the odd numbers; it goes up.
    if value < 0.0 {
        away((value + 1.0).min(0.0) / 2.0) * 2.0 - 1.0
    } else {
        away((value - 1.0).max(0.0) / 2.0) * 2.0 + 1.0
    }
}

fn multiple(value: f64, of: f64, to: impl Fn(f64) -> f64) -> f64 {
    let steps = value / of;
    // 0.3 / 0.1 is a hair below 3: what is that near to a whole number is one.
    let near = steps.round();
    if (steps - near).abs() < 1e-9 * steps.abs().max(1.0) { near * of } else { to(steps) * of }
}

/// `value` rounded to `places` after the point (before it when negative).
fn round(value: f64, places: f64, to: impl Fn(f64) -> f64) -> f64 {
    let places = places.trunc().clamp(-400.0, 400.0) as i32;
    if !value.is_finite() {
        return value;
    }
    if places == 0 {
        return to(value);
    }
    let factor = 10f64.powi(places.abs());
    let scaled = if places > 0 { value * factor } else { value / factor };
    if !scaled.is_finite() || !factor.is_finite() {
        // So many places that nothing is cut off, or everything.
        return if places > 0 { value } else { to(value.signum() * f64::MIN_POSITIVE) * 0.0 };
    }
    let back = |whole: f64| if places > 0 { whole / factor } else { whole * factor };
    // Scaling has an error of its own; near a whole or a half the digits decide instead.
    let doubled = scaled * 2.0;
    if (doubled - doubled.round()).abs() > 1e-9 * doubled.abs().max(1.0) {
        return back(to(scaled));
    }
    let exact = format!("{value:e}");
    let shifted = exact
        .split_once('e')
        .and_then(|(digits, exponent)| Some((digits, exponent.parse::<i32>().ok()? + places)))
        .and_then(|(digits, exponent)| format!("{digits}e{exponent}").parse::<f64>().ok());
    back(to(shifted.unwrap_or(scaled)))
}

#[cfg(test)]
mod tests {
    use super::{away, odd, round};

    #[test]
    fn rounding_goes_by_the_digits_a_person_sees() {
        let half_up = |scaled: f64| (scaled + 0.5).floor();
        assert_eq!(round(1.005, 2.0, half_up), 1.01);
        assert_eq!(round(-2.5, 0.0, half_up), -2.0);
        assert_eq!(round(1.1, 2.0, away), 1.1);
        assert_eq!(round(2.001, 2.0, away), 2.01);
        assert_eq!(round(1201.0, -2.0, away), 1300.0);
        assert_eq!(round(1.5, 400.0, half_up), 1.5);
        assert_eq!([odd(2.0), odd(-1.1), odd(0.0), odd(3.0), odd(-1.0)], [3.0, -3.0, 1.0, 3.0, -1.0]);
    }
}
