//! Faults as errors of the protocol.

use rmcp::model::ErrorData;
use serde_json::json;
use tablewright_core::{Code, Fault};
use tablewright_toolkit::text::shown;

/// The error for a request about the resource at `uri`: what does not exist is "not found", with
/// the code of the client's era.
pub(super) fn of_resource(fault: &Fault, uri: &str) -> ErrorData {
    match fault.code {
        Code::UnknownBase | Code::UnknownTable | Code::UnknownRecord => {
            let data = json!({"code": fault.code.as_str(), "uri": brief(uri)});
            ErrorData::resource_not_found(shown(&fault.message), Some(data))
        }
        _ => of_arguments(fault),
    }
}

/// The error for a request whose arguments were wrong.
pub(super) fn of_arguments(fault: &Fault) -> ErrorData {
    let message = shown(&fault.message);
    match fault.code {
        Code::Forbidden | Code::LimitExceeded => ErrorData::invalid_request(message, data(fault)),
        Code::Internal | Code::StoreUnavailable => ErrorData::internal_error(message, data(fault)),
        _ => ErrorData::invalid_params(message, data(fault)),
    }
}

fn data(fault: &Fault) -> Option<serde_json::Value> {
    Some(json!({"code": fault.code.as_str()}))
}

/// The error for an address that names nothing.
pub(super) fn no_resource(uri: &str) -> ErrorData {
    let given = brief(uri);
    let message = format!(
        "there is no resource {:?}; resources/list and resources/templates/list say which there are",
        given
    );
    ErrorData::resource_not_found(shown(&message), Some(json!({"uri": given})))
}

/// As much of an address as an error repeats.
fn brief(uri: &str) -> String {
    uri.chars().take(MAX_SHOWN).collect()
}

/// Longest part of an address that an error repeats, in characters.
const MAX_SHOWN: usize = 200;
