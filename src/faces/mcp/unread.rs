//! Requests whose method is known and whose parameters could not be read.

use rmcp::model::{
    CallToolRequestParams, CancelTaskParams, CompleteRequestParams, CustomRequest, ErrorCode, ErrorData,
    GetPromptRequestParams, GetTaskParams, ReadResourceRequestParams, ServerCapabilities,
    SubscribeRequestParams, SubscriptionsListenRequestParams, UnsubscribeRequestParams, UpdateTaskParams,
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The error for a request that is none of the protocol's, as it came in. A method that the server
/// offers in this era (`newer`: without sessions) came with parameters that say something else:
/// the client hears what is wrong with them. Every other method is unknown.
pub(super) fn refuse(request: &CustomRequest, offered: &ServerCapabilities, newer: bool) -> ErrorData {
    let params = request.params.as_ref();
    let resources = offered.resources.as_ref();
    let subscribes = resources.and_then(|r| r.subscribe) == Some(true);
    let notifies = subscribes
        || [
            resources.and_then(|r| r.list_changed),
            offered.tools.as_ref().and_then(|t| t.list_changed),
            offered.prompts.as_ref().and_then(|p| p.list_changed),
        ]
        .contains(&Some(true));
    let tasks = offered.supports_tasks();
    let wrong = match request.method.as_str() {
        "tools/call" if offered.tools.is_some() => wrong::<CallToolRequestParams>(params),
        "resources/read" if resources.is_some() => wrong::<ReadResourceRequestParams>(params),
        "resources/subscribe" if subscribes && !newer => wrong::<SubscribeRequestParams>(params),
        "resources/unsubscribe" if subscribes && !newer => wrong::<UnsubscribeRequestParams>(params),
        "subscriptions/listen" if notifies && newer => wrong::<SubscriptionsListenRequestParams>(params),
        "prompts/get" if offered.prompts.is_some() => wrong::<GetPromptRequestParams>(params),
        "completion/complete" if offered.completions.is_some() => wrong::<CompleteRequestParams>(params),
        "tasks/get" if tasks => wrong::<GetTaskParams>(params),
        "tasks/update" if tasks => wrong::<UpdateTaskParams>(params),
        "tasks/cancel" if tasks => wrong::<CancelTaskParams>(params),
        _ => None,
    };
    match wrong {
        Some(why) => {
            let message = format!("the params of {} are not usable: {why}", request.method);
            ErrorData::invalid_params(message, None)
        }
        None => ErrorData::new(ErrorCode::METHOD_NOT_FOUND, request.method.clone(), None),
    }
}

/// What keeps `params` from being a `P`.
fn wrong<P: DeserializeOwned>(params: Option<&Value>) -> Option<String> {
    let params = params.cloned().unwrap_or_else(|| Map::new().into());
    serde_path_to_error::deserialize::<_, P>(params).err().map(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use rmcp::model::{CustomRequest, ErrorCode, ServerCapabilities};
    use serde_json::json;

    use super::refuse;

    #[test]
    fn known_methods_hear_what_is_wrong_and_others_are_unknown() {
        let tools = ServerCapabilities::builder().enable_tools().build();
        for params in [None, Some(json!({})), Some(json!({"name": 5})), Some(json!([]))] {
            let error = refuse(&CustomRequest::new("tools/call", params), &tools, true);
            assert_eq!(error.code, ErrorCode::INVALID_PARAMS, "{error}");
        }
        let arguments = Some(json!({"name": "x", "arguments": []}));
        let error = refuse(&CustomRequest::new("tools/call", arguments), &tools, false);
        assert!(error.message.contains("arguments"), "{error}");
        for method in ["prompts/get", "resources/read", "no/such"] {
            let error = refuse(&CustomRequest::new(method, None), &tools, true);
            assert_eq!(error.code, ErrorCode::METHOD_NOT_FOUND, "{method}");
        }
    }

    #[test]
    fn methods_of_the_other_era_are_unknown() {
        let offered = ServerCapabilities::builder().enable_resources().enable_resources_subscribe().build();
        for (method, of_newer) in [("resources/subscribe", false), ("subscriptions/listen", true)] {
            for newer in [true, false] {
                let expected =
                    if newer == of_newer { ErrorCode::INVALID_PARAMS } else { ErrorCode::METHOD_NOT_FOUND };
                let error = refuse(&CustomRequest::new(method, None), &offered, newer);
                assert_eq!(error.code, expected, "{method} {newer}");
            }
        }
    }
}
