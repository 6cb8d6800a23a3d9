"""compare_test.py SOURCE: the tables of tools/compare, and what becomes of a program that fails."""
import pathlib
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(sys.argv.pop())
sys.path.insert(0, str(SOURCE / "tools/compare"))
import report
from side import Side, SideFailed

REPORT = {"gflop": 100, "peak_gflops": 200, "rss_mb": 300, "parameters": 7}
TRAIN, INFER = ("segnet", "train", 1, "fp32"), ("segnet", "infer", 1, "fp32")


def row(cell, engine, peer_ms, our_ms, **said):
    return report.row(cell, engine, peer_ms, our_ms, REPORT, {"rss_mb": 1000} | said, "2026-01-01")


class Rows(unittest.TestCase):
    def test_a_row_has_ratio_share_of_the_peak_and_memory(self):
        words = row(TRAIN, "torch", 3000, 1000, loss=1e-6, gradient=0.1).split()
        self.assertEqual(words[:5], ["segnet", "train", "1", "fp32", "torch"])
        self.assertEqual(words[5:12], ["3000.0", "1000.0", "3.00x", "50%", "1000", "300", "0.30"])
        self.assertEqual(" ".join(words[13:]), "loss 1e-06, gradient 1e-01")

    def test_what_differs_is_said(self):
        self.assertIn("DISAGREES in loss:", row(TRAIN, "torch", 1, 1, loss=1e-3, gradient=0.1))
        self.assertIn("DISAGREES in pixels_elsewhere:", row(INFER, "torch", 1, 1, pixels_elsewhere=float("nan")))
        self.assertIn("DIFFERENT NETWORKS", report.count_row(TRAIN, REPORT, {"parameters": 8, "gflop": 1}))
        self.assertNotIn("DIFFERENT", report.count_row(TRAIN, REPORT, {"parameters": 7, "gflop": 1}))

    def test_the_hardest_peer_that_agrees_is_held_against_the_target(self):
        rows = [row(TRAIN, "torch", 4100, 1000), row(TRAIN, "torch-nhwc", 2900, 1000),
                row(TRAIN, "torch-compile", 900, 1000, loss=1), report.failed_row(INFER, "torch", "2026-01-01", "no memory")]
        (line,) = report.best_rows(rows, amx=False)
        self.assertEqual(line.split()[4:], ["torch-nhwc", "2.90x", "2.8", "4.0", "yes", "0.30", "0.6", "yes"])
        self.assertIn("MISSED", report.best_rows([row(TRAIN, "torch", 2700, 1000)], amx=False)[0])
        self.assertIn("stretch", report.best_rows([row(TRAIN, "torch", 3700, 1000)], amx=True)[0])

    def test_new_rows_replace_old_ones_of_the_same_key_and_no_others(self):
        old = [row(TRAIN, "torch", 1, 1), row(INFER, "torch", 2, 1)]
        new = [row(("segnet", "train", 4, "fp32"), "torch", 3, 1), row(INFER, "torch", 4, 1)]
        self.assertEqual(report.merged(old, new, 5), [old[0], new[0], new[1]])


class Document(unittest.TestCase):
    def test_what_is_written_is_read_again(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "benchmarks.md"
            path.write_text("before\n<!-- compare.py on a machine -->\n<!-- end of compare.py on a machine -->\nafter\n")
            first, second = row(TRAIN, "torch", 3000, 1000), row(INFER, "torch", 3000, 1000)
            count = report.count_row(TRAIN, REPORT, {"parameters": 7, "gflop": 1})
            report.write(path, "a machine", [first], [count], False)
            report.write(path, "a machine", [second], [], False)
            text = path.read_text()
            self.assertTrue(text.startswith("before\n") and text.endswith("\nafter\n"))
            for line in first, second, count:
                self.assertEqual(text.count(line + "\n"), 1)
            with self.assertRaisesRegex(SystemExit, "add the lines"):
                report.write(path, "another machine", [first], [], False)


class Sides(unittest.TestCase):
    def side(self, script):
        return Side("peer", ["bash", "-c", script], {})

    def test_a_run_for_every_line(self):
        with self.side("echo ready; while read; do echo 1.5; done; echo '{\"rss_mb\": 2}'") as side:
            side.run()
            side.run()
            self.assertEqual((side.end(), side.ms), ({"rss_mb": 2}, [1.5, 1.5]))

    def test_a_failure_says_why(self):
        for script, why in (("echo no such library >&2; exit 1", "peer: no such library"),
                            ("kill -9 $$", "peer: ended with status -9")):
            with self.assertRaisesRegex(SideFailed, why):
                self.side(script)
        with self.assertRaisesRegex(SideFailed, "peer: out of memory"), self.side("echo ready; echo out of memory >&2; exit 3") as side:
            side.run()
        with self.assertRaisesRegex(SideFailed, "got: hello"), self.side("echo ready; read; echo hello") as side:
            side.run()


unittest.main(warnings="ignore")
