namespace pixelwise {}
