"""Clients of the original package, driven by command_loop. A lane is a client."""

import socket
import sys
import threading

import command_loop
from ipc_framework import FrameworkClient, MessageType

sys.stdin.reconfigure(encoding="utf-8")
clients = {}
clients_lock = threading.Lock()


def client_of(command):
    with clients_lock:
        return clients[command["lane"]]


def connect(command):
    client = FrameworkClient(command["app"], command["host"], command["port"], command.get("timeout", 10.0))
    if "connectionId" in command:
        client.connection_id = command["connectionId"]
    with clients_lock:
        clients[command["lane"]] = client
    return {"connected": client.connect(), "connectionId": client.connection_id}


def disconnect(command):
    client = client_of(command)
    client.disconnect()
    return not client.connected


def subscribe(command):
    lane, channel = command["lane"], command["channel"]

    def on_message(message):
        command_loop.emit({"event": "message", "lane": lane, "channel": channel, "message": message.to_dict()})

    return client_of(command).subscribe(channel, on_message)


def unsubscribe(command):
    return client_of(command).unsubscribe(command["channel"])


def send_message(command):
    return client_of(command).send_message(
        command["channel"], MessageType(command["type"]), command["payload"], command.get("replyTo")
    )


def request(command):
    answer = client_of(command).send_request(command["channel"], command["payload"], command.get("timeout", 5.0))
    return command_loop.message_dict(answer)


def request_async(command):
    lane = command["lane"]

    def on_answer(message):
        command_loop.emit({"event": "answered", "lane": lane, "message": message.to_dict()})

    return client_of(command).send_request_async(command["channel"], command["payload"], on_answer)


def ping(command):
    return client_of(command).ping(command.get("timeout", 2.0))


def info(command):
    return client_of(command).get_connection_info()


def until_lost(command):
    """Waits until the receiving thread has ended, as it does when the connection is lost."""
    client = client_of(command)
    client.receive_thread.join(command.get("timeout", 10.0))
    return not client.receive_thread.is_alive() and not client.connected


def close():
    for client in clients.values():
        # The original's disconnect leaves the socket open as long as its receiving thread waits for bytes.
        if client.socket is not None:
            try:
                client.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # the peer was first
        client.disconnect()


command_loop.run(
    {
        "connect": connect,
        "disconnect": disconnect,
        "subscribe": subscribe,
        "unsubscribe": unsubscribe,
        "send": send_message,
        "request": request,
        "requestAsync": request_async,
        "ping": ping,
        "info": info,
        "untilLost": until_lost,
    },
    close,
)
