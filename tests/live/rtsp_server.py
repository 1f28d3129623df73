#!/usr/bin/env python3
"""An RTSP server for tests (Debian's GStreamer).

usage: rtsp_server.py PORT FILE.mkv            plays the file at rtsp://127.0.0.1:PORT/cam
       rtsp_server.py PORT --record FILE.mkv   records what is pushed to that address
Exit status 77 when GStreamer's RTSP server is not installed."""
import sys

try:
    import gi
    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtspServer
except (ImportError, ValueError) as e:
    print(f"no GStreamer RTSP server: {e}")
    sys.exit(77)

Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(sys.argv[1])
factory = GstRtspServer.RTSPMediaFactory()
if sys.argv[2] == "--record":
    factory.set_latency(5000)  # a busy machine's packets are late, and lost beyond that
    factory.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
    factory.set_launch("( rtph264depay name=depay0 ! h264parse ! mux. "
                       "rtpmp4gdepay name=depay1 ! aacparse ! mux. "
                       f"matroskamux name=mux streamable=true ! filesink async=false location={sys.argv[3]} )")
else:
    factory.set_launch(f"( filesrc location={sys.argv[2]} ! matroskademux ! h264parse ! "
                       "rtph264pay name=pay0 pt=96 config-interval=1 )")
    factory.set_shared(True)
server.get_mount_points().add_factory("/cam", factory)
server.attach(None)
print("ready", flush=True)
GLib.MainLoop().run()
