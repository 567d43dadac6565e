(function () {
  "use strict";
  var root = document.documentElement;
  var button = document.getElementById("scheme");
  var dark = window.matchMedia("(prefers-color-scheme: dark)");
  // Colours are CSS variables in the charts too, so a switch redraws nothing.
  button.hidden = false;
  button.addEventListener("click", function () {
    var now = root.dataset.scheme || (dark.matches ? "dark" : "light");
    root.dataset.scheme = now === "dark" ? "light" : "dark";
  });

  var specs = JSON.parse(document.getElementById("specs").textContent);
  var waiting = [];
  document.querySelectorAll("[data-chart]").forEach(function (place) {
    waiting.push(
      window.vegaEmbed(place, specs[place.dataset.chart], {
        mode: "vega-lite",
        actions: false,
        renderer: "svg",
        ast: true,
        defaultStyle: false,
        tooltip: { disableDefaultStyle: true },
        loader: { load: function () { return Promise.reject(new Error("nothing is loaded")); } }
      })
    );
  });
  Promise.all(waiting).then(
    function () { root.dataset.charts = "drawn"; },
    function (error) { root.dataset.charts = "failed"; throw error; }
  );
  // Charts take their width from their place when the window changes; paper is another place.
  window.addEventListener("beforeprint", function () { window.dispatchEvent(new Event("resize")); });
})();
