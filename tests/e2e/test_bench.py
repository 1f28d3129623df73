"""veil bench engine: figures that fit together, a picture, CPU levels, bad arguments."""
import json
import unittest

from support import Case, veil

FAST = ("bench", "engine", "--size", "64x64", "--runs", "3")


class Bench(Case):
    def figures(self, *more, env=None):
        done = veil(*FAST, "--json", "-", *more, env=env)
        self.assertEqual(done.status, 0, done.err)
        return json.loads(done.out)

    def test_layers_add_up(self):
        j = self.figures("--threads", "both")
        self.assertEqual([s["threads"] for s in j["sides"]], [1, 2])
        for s in j["sides"]:
            self.assertAlmostEqual(sum(l["mmac"] for l in s["layers"]) / 1000, j["gmac"], places=4)
            self.assertLessEqual(s["least_ms"], s["p50_ms"])
            self.assertLessEqual(s["p50_ms"], s["p99_ms"])
            rate = 2 * j["gmac"] / (s["least_ms"] / 1000)
            self.assertAlmostEqual(s["gops"] / rate, 1, places=3)
            if j["peak_gops"] > 0:
                self.assertAlmostEqual(s["share"] * j["peak_gops"] * s["threads"] / rate, 1, places=3)

    def test_work_grows_with_the_picture(self):
        small, large = self.figures(), self.figures("--size", "128x128")
        self.assertAlmostEqual(large["gmac"] / small["gmac"], 4, places=3)

    def test_picture(self):
        done = veil(*FAST, "--plot", self.path("p.png"))
        self.assertEqual(done.status, 0, done.err)
        with open(self.path("p.png"), "rb") as f:
            self.assertEqual(f.read(8), b"\x89PNG\r\n\x1a\n")
        self.assertIn(b"sum of the layers", done.out)

    def test_levels_can_be_switched_off(self):
        j = self.figures(env={"VEIL_CPU": "c"})
        self.assertEqual(j["levels"], [])
        self.assertEqual({l["kernel"] for l in j["sides"][0]["layers"]} - {"c", "fused", "view", "copy"}, set())

    def test_bad_arguments(self):
        for args, env in [(("--threads", "0"), None), (("--threads", "x"), None), (("--runs", "0"), None),
                          (("--size", "100x64"), None), (("--size", "640"), None), ((), {"VEIL_CPU": "avx9"})]:
            done = veil(*FAST, *args, env=env)
            self.assertEqual((done.status, len(done.lines)), (2, 1), (args, done.err))
        done = veil("bench", "engine", "--model", self.path("none.veil"))
        self.assertEqual((done.status, len(done.lines)), (1, 1), done.err)
        self.assertEqual(veil("bench", "pipe").status, 2)


if __name__ == "__main__":
    unittest.main()
