//! Places on a map as `geometry` and `geography` of PostGIS, which read GeoJSON (documentation, "Using OpenGIS Standards").
//!
//! What PostGIS would refuse is found here, where it costs the value and not the row: lines of one point, rings that are open
//! or too short. What is no map goes to the server as it is, such as WKT.

use crate::cast::json::json_text;
use crate::cast::misfit::{Misfit, name};
use crate::cast::text::literal;
use crate::cell::Cell;
use crate::column_type::Base;
use crate::value::Value;

pub(super) fn geometry(value: &Value, base: &Base) -> Result<Cell, Misfit> {
    let Value::Map(fields) = value else { return literal(value, base) };
    let wrong = |what: &str| Misfit::new(format!("{what} where {} is expected", name(base)));
    let Some(Value::Text(kind)) = fields.get("type") else { return Err(wrong("a map that is no GeoJSON")) };
    let coordinates = fields.get("coordinates").ok_or_else(|| wrong("GeoJSON without coordinates"))?;
    let good = match &**kind {
        "Point" => is_position(coordinates),
        "LineString" => is_line(coordinates),
        "Polygon" => is_area(coordinates),
        "MultiPoint" => all(coordinates, is_position),
        "MultiLineString" => all(coordinates, is_line),
        "MultiPolygon" => all(coordinates, is_area),
        _ => return Err(wrong("GeoJSON of another type")),
    };
    if !good {
        return Err(wrong("GeoJSON with bad coordinates"));
    }
    // Whatever else stands there is no part of the geometry.
    let bare = Value::from([("type", Value::Text(kind.clone())), ("coordinates", coordinates.clone())]);
    json_text(&bare).map(|text| Cell::Text(text.into()))
}

fn all(value: &Value, good: impl Fn(&Value) -> bool) -> bool {
    matches!(value, Value::List(items) if items.iter().all(good))
}

/// Longitude and latitude, and mostly an altitude.
fn is_position(value: &Value) -> bool {
    let is_number = |value: &Value| matches!(value, Value::Number(_));
    matches!(value, Value::List(numbers) if (2..=4).contains(&numbers.len()) && numbers.iter().all(is_number))
}

fn is_line(value: &Value) -> bool {
    matches!(value, Value::List(positions) if positions.len() >= 2) && all(value, is_position)
}

/// Rings, each of which ends where it begins.
fn is_area(value: &Value) -> bool {
    let is_closed = |ring: &Value| match ring {
        Value::List(positions) => positions.len() >= 4 && positions.first() == positions.last(),
        _ => false,
    };
    all(value, |ring| is_line(ring) && is_closed(ring)) && matches!(value, Value::List(rings) if !rings.is_empty())
}

#[cfg(test)]
mod tests {
    use crate::cast::samples::{check, misfit, number};
    use crate::value::Value;

    fn position(numbers: &[&str]) -> Value {
        Value::List(numbers.iter().map(|text| number(text)).collect())
    }

    fn of(kind: &str, coordinates: Value) -> Value {
        Value::from([("type", Value::text(kind)), ("coordinates", coordinates)])
    }

    fn list(items: &[&Value]) -> Value {
        Value::List(items.iter().map(|item| (*item).clone()).collect())
    }

    #[test]
    fn geojson_is_sent_as_text() {
        let [a, b, c] = [["-16.57", "13.45", "12.5"], ["-16", "13", "0"], ["1", "2", "3"]].map(|p| position(&p));
        let mut point = of("Point", a.clone());
        let Value::Map(fields) = &mut point else { panic!() };
        fields.insert("properties".into(), Value::from([("accuracy", number("4.3"))]));
        check("geometry", point, r#"{"type":"Point","coordinates":[-16.57,13.45,12.5]}"#);
        let line = r#"{"type":"LineString","coordinates":[[-16.57,13.45,12.5],[-16,13,0]]}"#;
        check("public.geometry", of("LineString", list(&[&a, &b])), line);
        let ring = list(&[&a, &b, &c, &a]);
        let area = r#"{"type":"Polygon","coordinates":[[[-16.57,13.45,12.5],[-16,13,0],[1,2,3],[-16.57,13.45,12.5]]]}"#;
        check("geometry(Geometry,4326)", of("Polygon", list(&[&ring])), area);
        check("geography", "POINT(1 2)", "POINT(1 2)");

        let bad = "GeoJSON with bad coordinates where geometry is expected";
        misfit("geometry", of("LineString", list(&[&a])), bad);
        misfit("geometry", of("Polygon", list(&[&list(&[&a, &b, &c])])), bad);
        misfit("geometry", of("Polygon", list(&[&list(&[&a, &b, &c, &b])])), bad);
        misfit("geometry", of("Polygon", list(&[])), bad);
        misfit("geometry", of("Point", list(&[&Value::text("x"), &Value::text("y")])), bad);
        misfit("geometry", of("Point", position(&["1"])), bad);
        misfit("geometry", of("Circle", a), "GeoJSON of another type where geometry is expected");
        misfit(
            "geometry",
            Value::from([("type", Value::text("Point"))]),
            "GeoJSON without coordinates where geometry is expected",
        );
        misfit("geometry", Value::from([("x", 1.into())]), "a map that is no GeoJSON where geometry is expected");
        misfit("geometry", Value::List(vec![]), "a list where geometry is expected");
    }
}
