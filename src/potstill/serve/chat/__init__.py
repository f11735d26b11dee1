"""Moving in without a rewrite: chat completions, answered by a model or by its teacher."""

from potstill.serve.chat.gateway import ChatGateway, ChatModel
from potstill.serve.chat.mount import chat_routes

__all__ = ["ChatGateway", "ChatModel", "chat_routes"]
