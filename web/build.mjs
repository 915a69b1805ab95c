// Builds the scripts of the pages, one a kind of page, into the package or into the folder that is named; the same source,
// the same bytes. What the pages share is one source, and stands in each script that needs it.
import { readdirSync } from "node:fs";
import { build } from "esbuild";

const LIBRARIES = "d3-array, d3-format: ISC licence, Mike Bostock";

await build({
  entryPoints: readdirSync("src/pages").map((name) => `src/pages/${name}`),
  outdir: process.argv[2] ?? "../src/unbend/report/web",
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  banner: { js: `/* Built from web/ by \`npm run build\`; ${LIBRARIES}. */` },
});
