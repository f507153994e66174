"""A server of the original package on a free port of the loopback, driven by command_loop. Handlers are
written as its documentation shows: the connection of a request is found through payload.connection_id."""

import socket
import sys
import time

import command_loop
from ipc_framework import FrameworkServer, Message, MessageType

sys.stdin.reconfigure(encoding="utf-8")
server = FrameworkServer("127.0.0.1", 0)


def start(command):
    server.start()
    return {"port": server.server_socket.getsockname()[1]}


def respond(message, payload):
    connection = server.connection_manager.get_connection(message.payload.get("connection_id"))
    if connection is not None:
        server.send_to_connection(connection, message.create_response(payload))


def answer_with_payload(message):
    respond(message, message.payload)


def fail(message):
    raise ValueError("the handler fails")


def never_answer(message):
    pass


BEHAVIOURS = {"echo": answer_with_payload, "fail": fail, "silent": never_answer}


def handle(command):
    """Sets a handler; every message that it sees is also an event."""
    behaviour = BEHAVIOURS[command["behaviour"]]

    def on_message(message):
        command_loop.emit({"event": "handled", "channel": message.channel_id, "message": message.to_dict()})
        behaviour(message)

    channel = server.create_application(command["app"]).create_channel(command["channel"])
    channel.set_handler(MessageType(command["type"]), on_message)


def publish(command):
    """A message of the server's own, to the subscribers of a channel."""
    message = Message(
        message_id="",
        app_id=command["app"],
        channel_id=command["channel"],
        message_type=MessageType(command["type"]),
        payload=command["payload"],
        timestamp=time.time(),
    )
    server._handle_publish(message, server.get_application(command["app"]).get_channel(command["channel"]))
    return message.message_id


def broadcast(command):
    message = Message("", command["app"], command["channel"], MessageType.NOTIFICATION, command["payload"], time.time())
    server.broadcast_to_application(command["app"], message)
    return message.message_id


def drop(command):
    """Cuts one connection from the server's side."""
    server.client_sockets[command["connectionId"]].shutdown(socket.SHUT_RDWR)


def applications(command):
    return server.list_applications()


def channels(command):
    return server.list_channels(command["app"])


def subscribers(command):
    return server.get_application(command["app"]).get_channel(command["channel"]).get_subscribers()


def stats(command):
    return server.get_stats()


def stop(command):
    server.stop()


def close():
    if server.running:
        # The accepting thread looks whether it is to end once a second, or when somebody connects.
        port = server.server_socket.getsockname()[1]
        server.running = False
        socket.create_connection(("127.0.0.1", port)).close()
        server.server_thread.join()
        server.running = True
    server.stop()


command_loop.run(
    {
        "start": start,
        "handle": handle,
        "publish": publish,
        "broadcast": broadcast,
        "drop": drop,
        "applications": applications,
        "channels": channels,
        "subscribers": subscribers,
        "stats": stats,
        "stop": stop,
    },
    close,
)
