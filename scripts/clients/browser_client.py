"""Every page that flops writes, in a headless Chromium, on a telephone (390 pixels)
and on a desk (1280), light and dark: no word on the console, nothing asked of the
network, no scrolling sideways, charts and pictures drawn, every figure explained."""
import shutil
import sys

from playwright.sync_api import sync_playwright

from common import WORK, ensure, flops, run

chrome = next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")) if p), None)
if chrome is None:
    print("browser: left out: no Chromium on this machine")
    sys.exit(0)

folder = run()
ASKS = """
name: asks
model: {arch: {image: 32, patch: 8, channels: 3, hidden: 32, layers: 2, heads: 2, mlp: 64}}
data: {kind: folder, path: photos}
budget: {queries_per_image: 4}
allocator: {name: gaussian}
train: {steps: 6, batch_size: 8, eval_every: 2, seed: 3, metrics: [ece]}
checkpoint: {every: 2}
"""
(WORK / "asks.yaml").write_text(ASKS)
flops("report", folder)
flops("compare", "--config", "asks.yaml", "--arms", "uniform,neyman,bp", "--seeds", "2", "--points", "3", "--output", "compared")
flops("train", "--config", "asks.yaml", "--output", "asks")
flops("report", "asks")
flops("allocate-report", "--config", "asks.yaml", "--checkpoint", "asks/checkpoints/last", "--draws", "4", "--pairs", "8", "--output", "allocated")
pages = {"report": folder / "report.html", "report of queries": WORK / "asks/report.html", "compare": WORK / "compared/report.html",
         "allocate-report": WORK / "allocated/report.html"}

LOOK = """() => {
  const big = [...document.querySelectorAll("svg.chart")].filter(s => s.getBoundingClientRect().width > 100);
  const explained = s => { const f = s.closest("figure"); return f && f.querySelector(".how") !== null; };
  return {
    wide: document.documentElement.scrollWidth, charts: big.length, bare: big.filter(s => !explained(s)).length,
    broken: [...document.images].filter(i => i.complete && i.naturalWidth == 0).length,
    small: [...document.querySelectorAll("svg text")].filter(t => t.textContent.trim() && t.getBoundingClientRect().height < 6).length,
  };
}"""
seen = 0
with sync_playwright() as p:
    b = p.chromium.launch(executable_path=chrome, args=["--no-sandbox", "--disable-gpu"])
    for name, path in pages.items():
        page, said, asked = b.new_page(viewport={"width": 390, "height": 900}), [], []
        page.on("console", lambda m: said.append(m.text))
        page.on("pageerror", lambda e: said.append(str(e)))
        page.on("request", lambda r: asked.append(r.url))
        page.goto(path.as_uri())
        for width in (390, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                look = page.evaluate(LOOK)
                where = f"{name} at {width} pixels, {scheme}"
                ensure(not said, f"{where}: the console says {said}")
                ensure([u for u in asked if not u.startswith(("file:", "data:"))] == [], f"{where}: asks for {asked}")
                ensure(look["wide"] <= width, f"{where}: {look['wide']} pixels wide")
                ensure(look["charts"] > 0 and look["broken"] == 0, f"{where}: {look}")
                ensure(look["bare"] == 0, f"{where}: {look['bare']} of {look['charts']} figures are not explained where they stand")
                seen += 1
        page.screenshot(full_page=True)  # it is painted to its end
        ensure(not said, f"{name}: the console says {said}")
        page.close()
    version = b.version
    b.close()
print(f"chromium {version}: {len(pages)} pages at 390 and 1280 pixels, light and dark ({seen} looks): console silent, nothing fetched, "
      f"no scrolling sideways, every figure explained")
