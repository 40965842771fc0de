"""What results and trials look like in a notebook: read back with a parser of HTML."""

from html.parser import HTMLParser

from sweeps import Results


class Cells(HTMLParser):
    """The texts of a table's cells by row, every tag that was met, and all text."""

    def __init__(self, html):
        super().__init__()
        self.rows, self.tags, self.text = [], [], ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data):
        self.text += data
        if self.rows and self.rows[-1] and self.tags[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def test_results_show_their_counts_the_best_and_five_trials(tmp_path, drive):
    driver = drive(tmp_path / "s", mode="max")
    for number in range(8):
        driver.suggest(f"{number:05d}")
        driver.report(f"{number:05d}", 3, number / 8)
        driver.end(f"{number:05d}", "completed")
    driver.suggest("00008")
    driver.close("finished")
    results = Results(tmp_path / "s")
    found = Cells(results._repr_html_())
    assert found.text.startswith("s: 8 completed, 1 pending; best loss 0.875 by 00007")
    assert found.rows[0] == ["trial", "loss", "iterations", "state", "lr"]
    assert found.rows[1] == ["00007", "0.875", "3", "completed", "0.1"]
    assert [row[0] for row in found.rows[1:]] == ["00007", "00006", "00005", "00004", "00003"]
    one = Cells(results.trials[8]._repr_html_())
    assert one.rows == [["state", "pending"], ["iterations", "0"], ["config.lr", "0.1"]]


def test_a_sweep_without_reports_shows_that(tmp_path, drive):
    drive(tmp_path / "s").close()
    found = Cells(Results(tmp_path / "s")._repr_html_())
    assert found.text.startswith("s: no trials yet")
    assert found.rows == []


def test_what_came_from_outside_is_text_and_no_html(tmp_path, drive):
    evil = "<script>alert('x')</script>"
    driver = drive(tmp_path / "<i>s")
    config = {"lr": evil, "deep": {evil: [evil]}}
    driver.say("suggested", trial="00000", config=config, memo=None)
    driver.report("00000", 1, 0.5)
    driver.end("00000", "failed", f"Traceback\n{evil}")
    driver.close("finished")
    results = Results(tmp_path / "<i>s")
    for shown in (results._repr_html_(), results.trials[0]._repr_html_()):
        found = Cells(shown)
        assert {"script", "i"}.isdisjoint(found.tags)
    assert ["error", evil] in Cells(results.trials[0]._repr_html_()).rows
    assert [f"config.deep.{evil}", str([evil])] in Cells(results.trials[0]._repr_html_()).rows
