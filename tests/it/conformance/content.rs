//! The fixture's tools, prompts and resources that only give content back.

use rmcp::model::{
    CallToolResult, ContentBlock, ErrorData, GetPromptResult, JsonObject, PromptMessage, ReadResourceResult,
    ResourceContents, Role,
};
use serde_json::json;

/// One red pixel.
const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC";
/// A sound of no length.
const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=";

/// A result of one text.
pub fn said(text: impl Into<String>) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(text)])
}

/// The text of an argument; empty when it is missing.
pub fn text_of(given: &JsonObject, name: &str) -> String {
    given.get(name).and_then(|value| value.as_str()).unwrap_or_default().to_owned()
}

fn resource(uri: &str, kind: &str, text: &str) -> ContentBlock {
    ContentBlock::resource(ResourceContents::text(text, uri).with_mime_type(kind))
}

/// The result of a tool of this file; `None` for other tools.
pub fn call(name: &str, given: &JsonObject) -> Option<CallToolResult> {
    let image = || ContentBlock::image(PNG, "image/png");
    let blocks = match name {
        "test_simple_text" => vec![ContentBlock::text("This is a simple text response for testing.")],
        "test_image_content" => vec![image()],
        "test_audio_content" => vec![ContentBlock::audio(WAV, "audio/wav")],
        "test_embedded_resource" => {
            vec![resource("test://embedded-resource", "text/plain", "This is an embedded resource content.")]
        }
        "test_multiple_content_types" => {
            let data = json!({"test": "data", "value": 123}).to_string();
            vec![
                ContentBlock::text("Multiple content types test:"),
                image(),
                resource("test://mixed-content-resource", "application/json", &data),
            ]
        }
        "test_error_handling" => {
            let text = "This tool intentionally returns an error for testing";
            return Some(CallToolResult::error(vec![ContentBlock::text(text)]));
        }
        "greet" => vec![ContentBlock::text(format!("Hello, {}!", text_of(given, "name")))],
        "test_header_parameter" | "json_schema_2020_12_tool" => {
            vec![ContentBlock::text(json!(given).to_string())]
        }
        _ => return None,
    };
    Some(CallToolResult::success(blocks))
}

pub fn prompt(name: &str, given: &JsonObject) -> Result<GetPromptResult, ErrorData> {
    let text = |text: String| PromptMessage::new(Role::User, ContentBlock::text(text));
    let messages = match name {
        "test_simple_prompt" => vec![text("This is a simple prompt for testing.".into())],
        "test_prompt_with_arguments" => {
            let (one, two) = (text_of(given, "arg1"), text_of(given, "arg2"));
            vec![text(format!("Prompt with arguments: arg1='{one}', arg2='{two}'"))]
        }
        "test_prompt_with_embedded_resource" => {
            let embedded = "Embedded resource content for testing.";
            let block = resource(&text_of(given, "resourceUri"), "text/plain", embedded);
            vec![
                PromptMessage::new(Role::User, block),
                text("Please process the embedded resource above.".into()),
            ]
        }
        "test_prompt_with_image" => vec![
            PromptMessage::new(Role::User, ContentBlock::image(PNG, "image/png")),
            text("Please analyze the image above.".into()),
        ],
        _ => return Err(ErrorData::invalid_params(format!("there is no prompt {name:?}"), None)),
    };
    Ok(GetPromptResult::new(messages))
}

pub fn read(uri: &str) -> Result<ReadResourceResult, ErrorData> {
    let text = |text: String, kind| ResourceContents::text(text, uri).with_mime_type(kind);
    let contents = match uri {
        "test://static-text" => text("This is the content of the static text resource.".into(), "text/plain"),
        "test://watched-resource" => text("Watched.".into(), "text/plain"),
        "test://static-binary" => ResourceContents::blob(PNG, uri).with_mime_type("image/png"),
        _ => {
            let id = uri.strip_prefix("test://template/").and_then(|rest| rest.strip_suffix("/data"));
            let Some(id) = id else { return Err(missing(uri)) };
            let data = json!({"id": id, "templateTest": true, "data": format!("Data for ID: {id}")});
            text(data.to_string(), "application/json")
        }
    };
    Ok(ReadResourceResult::new(vec![contents]))
}

/// Whether a resource can be watched.
pub fn watched(uri: &str) -> Result<(), ErrorData> {
    read(uri).map(drop)
}

fn missing(uri: &str) -> ErrorData {
    ErrorData::resource_not_found("there is no such resource", Some(json!({"uri": uri})))
}
