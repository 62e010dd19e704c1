// Draws the graph on standard input as SVG on standard output.
import { Graphviz } from "@hpcc-js/wasm-graphviz";
import { readFileSync } from "node:fs";

const graphviz = await Graphviz.load();
const svg = graphviz.dot(readFileSync(0, "utf8"), "svg");
// without the head of an XML file: what stands before it is a comment of ours
process.stdout.write(svg.slice(svg.indexOf("<svg")));
