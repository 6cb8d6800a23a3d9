"""The networks of the comparison as PyTorch's users write them: modules, ReLU in place. Their parameters have the names
of Pixelwise, so that load_state_dict(strict=True) takes its weights."""
import torch
from torch import nn
from torch.nn import functional as F


def unit(inputs, outputs, kernel=1, stride=1, rate=1, act=nn.ReLU, groups=1):
    """Convolution, batch norm, activation: items 0, 1, 2."""
    layers = [nn.Conv2d(inputs, outputs, kernel, stride, rate * (kernel // 2), rate, groups, bias=False),
              nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, act(inplace=True)) if act else nn.Sequential(*layers)


def resize(x, like):
    return F.interpolate(x, like.shape[2:], mode="bilinear", align_corners=False)


class Network(nn.Module):
    """backbone(image) -> maps; head(maps, image) -> scores."""

    def __init__(self, backbone, classifier):
        super().__init__()
        self.backbone, self.classifier = backbone, classifier

    def forward(self, image):
        return self.classifier(self.backbone(image), image)


class Vgg16(nn.Module):
    """The maps before every pooling, their indices, and the last pooled map."""

    def __init__(self, batch_norm, indices):
        super().__init__()
        self.indices, layers, inputs = indices, [], 3
        for count, outputs in (2, 64), (2, 128), (3, 256), (3, 512), (3, 512):
            for _ in range(count):
                layers.append(nn.Conv2d(inputs, outputs, 3, padding=1))
                layers += [nn.BatchNorm2d(outputs)] if batch_norm else []
                layers.append(nn.ReLU(inplace=True))
                inputs = outputs
            layers.append(nn.MaxPool2d(2, 2, ceil_mode=True, return_indices=indices))
        self.features = nn.Sequential(*layers)

    def forward(self, x):
        pooled, places = [], []
        for layer in self.features:
            if isinstance(layer, nn.MaxPool2d):
                size = x.shape[2:]
                x = layer(x)
                if self.indices:
                    x, index = x
                    places.append((index, size))
                pooled.append(x)
            else:
                x = layer(x)
        return pooled, places


class Fcn8sHead(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.fc6, self.fc7 = nn.Conv2d(512, 4096, 7, padding=3), nn.Conv2d(4096, 4096, 1)
        self.score_fr = nn.Conv2d(4096, classes, 1)
        self.score_pool4, self.score_pool3 = nn.Conv2d(512, classes, 1), nn.Conv2d(256, classes, 1)
        up = lambda stride: nn.ConvTranspose2d(classes, classes, 2 * stride, stride, stride // 2, bias=False)
        self.upscore2, self.upscore_pool4, self.upscore8 = up(2), up(2), up(8)

    def forward(self, maps, image):
        (_, _, pool3, pool4, pool5), _ = maps
        x = F.relu_(self.fc7(F.relu_(self.fc6(pool5))))
        for up, skip in (self.upscore2, self.score_pool4(pool4)), (self.upscore_pool4, self.score_pool3(pool3)):
            x = up(self.score_fr(x) if up is self.upscore2 else x)
            x = x[:, :, : skip.shape[2], : skip.shape[3]] + skip
        return self.upscore8(x)[:, :, : image.shape[2], : image.shape[3]]


class SegnetDecoder(nn.Module):
    stages = {5: [512, 512, 512], 4: [512, 512, 256], 3: [256, 256, 128], 2: [128, 64], 1: [64]}

    def __init__(self, classes):
        super().__init__()
        inputs = 512
        for stage, channels in self.stages.items():
            for name, outputs in self.names(stage, channels):
                self.add_module(name, nn.Conv2d(inputs, outputs, 3, padding=1, bias=False))
                self.add_module(name + "_bn", nn.BatchNorm2d(outputs))
                inputs = outputs
        self.conv1_1_D = nn.Conv2d(64, classes, 3, padding=1)

    @staticmethod
    def names(stage, channels):
        first = 3 if stage > 2 else 2
        return [(f"conv{stage}_{first - i}_D", c) for i, c in enumerate(channels)]

    def forward(self, maps, image):
        pooled, places = maps
        x = pooled[-1]
        for stage, channels in self.stages.items():
            index, size = places[stage - 1]
            x = F.max_unpool2d(x, index, 2, 2, output_size=size)
            for name, _ in self.names(stage, channels):
                x = F.relu_(getattr(self, name + "_bn")(getattr(self, name)(x)))
        return self.conv1_1_D(x)


class InvertedResidual(nn.Module):
    def __init__(self, inputs, outputs, stride, rate, expand, wanted_stride):
        super().__init__()
        hidden = inputs * expand
        layers = [] if expand == 1 else [unit(inputs, hidden, act=nn.ReLU6)]
        layers.append(unit(hidden, hidden, 3, stride, rate, nn.ReLU6, hidden))
        self.conv = nn.Sequential(*layers, *unit(hidden, outputs, act=None))
        self.residual = wanted_stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.conv(x) if self.residual else self.conv(x)


class MobileNetV2(nn.Module):
    """The maps at stride 4 (24 channels) and at the output stride (320 channels)."""

    def __init__(self, output_stride):
        super().__init__()
        layers, inputs, current, dilation = [unit(3, 32, 3, 2, act=nn.ReLU6)], 32, 2, 1
        for expand, outputs, count, stride in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
                                               (6, 160, 3, 2), (6, 320, 1, 1)):
            for i in range(count):
                wanted, rate = (stride if i == 0 else 1), dilation
                taken = wanted
                if current * wanted > output_stride:
                    dilation, taken = dilation * wanted, 1
                current *= taken
                layers.append(InvertedResidual(inputs, outputs, taken, rate, expand, wanted))
                inputs = outputs
            if outputs == 24:
                self.low_layers = len(layers)
        self.features = nn.Sequential(*layers)

    def forward(self, x):
        low = self.features[: self.low_layers](x)
        return low, self.features[self.low_layers :](low)


class Bottleneck(nn.Module):
    def __init__(self, inputs, planes, stride, rate):
        super().__init__()
        self.conv1, self.bn1 = unit(inputs, planes, act=None)
        self.conv2, self.bn2 = unit(planes, planes, 3, stride, rate, None)
        self.conv3, self.bn3 = unit(planes, 4 * planes, act=None)
        self.downsample = unit(inputs, 4 * planes, stride=stride, act=None) if stride > 1 or inputs != 4 * planes else None

    def forward(self, x):
        y = F.relu_(self.bn1(self.conv1(x)))
        y = F.relu_(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        y += self.downsample(x) if self.downsample else x
        return F.relu_(y)


class ResNet50(nn.Module):
    """The maps at stride 4 (256 channels) and at the output stride (2048 channels)."""

    def __init__(self, output_stride):
        super().__init__()
        self.conv1, self.bn1 = unit(3, 64, 7, 2, act=None)
        inputs, current, dilation = 64, 4, 1
        for number, count in enumerate((3, 4, 6, 3), 1):
            stride, first, blocks = (1 if number == 1 else 2), dilation, []
            if current * stride > output_stride:
                dilation, stride = dilation * stride, 1
            current *= stride
            for i in range(count):
                blocks.append(Bottleneck(inputs, 32 << number, stride if i == 0 else 1, first if i == 0 else dilation))
                inputs = 128 << number
            self.add_module(f"layer{number}", nn.Sequential(*blocks))

    def forward(self, x):
        x = F.max_pool2d(F.relu_(self.bn1(self.conv1(x))), 3, 2, 1)
        low = self.layer1(x)
        return low, self.layer4(self.layer3(self.layer2(low)))


class Pooling(nn.Sequential):
    """ASPP's image pooling; batch norm only where the batch is more than one photo."""

    def __init__(self, inputs, outputs, batch_norm):
        layers = [nn.BatchNorm2d(outputs)] if batch_norm else []
        super().__init__(nn.AdaptiveAvgPool2d(1), nn.Conv2d(inputs, outputs, 1, bias=not batch_norm), *layers, nn.ReLU(True))

    def forward(self, x):
        return super().forward(x).expand(-1, -1, *x.shape[2:])


class Aspp(nn.Module):
    def __init__(self, inputs, rates, batch_norm):
        super().__init__()
        branches = [unit(inputs, 256)] + [unit(inputs, 256, 3, rate=r) for r in rates]
        self.convs = nn.ModuleList(branches + [Pooling(inputs, 256, batch_norm)])
        self.project = unit(256 * len(self.convs), 256)

    def forward(self, x):
        return self.project(torch.cat([branch(x) for branch in self.convs], 1))


class V3Head(nn.Sequential):
    def __init__(self, classes, batch_norm):
        super().__init__(Aspp(2048, (12, 24, 36), batch_norm), *unit(256, 256, 3), nn.Conv2d(256, classes, 1))

    def forward(self, maps, image):
        return resize(super().forward(maps[1]), image)


class V3PlusHead(nn.Module):
    def __init__(self, low, high, classes, batch_norm):
        super().__init__()
        self.aspp = Aspp(high, (6, 12, 18), batch_norm)
        self.low_level = unit(low, 48)
        self.decoder = nn.Sequential(*unit(304, 256, 3), *unit(256, 256, 3))
        self.score = nn.Conv2d(256, classes, 1)

    def forward(self, maps, image):
        low, high = maps
        x = torch.cat([resize(self.aspp(high), low), self.low_level(low)], 1)
        return resize(self.score(self.decoder(x)), image)


class FcnHead(nn.Sequential):
    def __init__(self, classes):
        super().__init__(*unit(2048, 512, 3), nn.Identity(), nn.Conv2d(512, classes, 1))

    def forward(self, maps, image):
        return resize(super().forward(maps[1]), image)


def network(name, batch, classes=21):
    many = batch > 1
    return {
        "segnet": lambda: Network(Vgg16(True, True), SegnetDecoder(classes)),
        "fcn8s_vgg16": lambda: Network(Vgg16(False, False), Fcn8sHead(classes)),
        "deeplabv3plus_mobilenet_v2": lambda: Network(MobileNetV2(16), V3PlusHead(24, 320, classes, many)),
        "deeplabv3plus_resnet50": lambda: Network(ResNet50(16), V3PlusHead(256, 2048, classes, many)),
        "deeplabv3_resnet50": lambda: Network(ResNet50(8), V3Head(classes, many)),
        "fcn_resnet50": lambda: Network(ResNet50(8), FcnHead(classes)),
    }[name]()
