// Builds the one script of the pages into the package; the same source gives the same bytes.
import { build } from "esbuild";

await build({
  entryPoints: ["src/main.ts"],
  outfile: "../src/unbend/report/web/page.js",
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  banner: { js: "/* Built from web/ by `npm run build`; d3-array, d3-format: ISC licence, Mike Bostock. */" },
});
