// Builds the one script of the pages into the package, or into the file that is named; the same source, the same bytes.
import { build } from "esbuild";

await build({
  entryPoints: ["src/main.ts"],
  outfile: process.argv[2] ?? "../src/unbend/report/web/page.js",
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  banner: { js: "/* Built from web/ by `npm run build`; d3-array, d3-format: ISC licence, Mike Bostock. */" },
});
